"""Typed configuration from the environment; a value that cannot be used stops the start.

`var/countersign.env` (written once by `python -m config.local_env`) supplies what the environment
leaves out, so that commands run by hand on a laptop find the same keys as `make demo`.
"""

from __future__ import annotations

from pathlib import Path

from environs import Env

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
VAR_DIR: Path = Path(env.str("COUNTERSIGN_VAR", str(BASE_DIR / "var")))
env.read_env(str(VAR_DIR / "countersign.env"), recurse=False, override=False)
