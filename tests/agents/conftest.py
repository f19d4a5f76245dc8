"""The client is imported as agents do: by its own name, from its own folder."""

from __future__ import annotations

import sys
from pathlib import Path

CLIENT = Path(__file__).resolve().parents[2] / "approvals" / "client"

sys.path.insert(0, str(CLIENT))
