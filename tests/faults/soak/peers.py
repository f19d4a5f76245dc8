"""`python -m tests.faults.soak.peers FOLDER NAME=PORT ...`: the vendors' doubles, one process.

What was applied is in files, so killing it loses nothing that happened.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from pathlib import Path

from connectors.sandbox.server import _WebThread
from connectors.sandbox.store import Store
from tests.vendors import doubles
from tests.vendors.double import Vendor


def file_of(folder: Path, vendor: str) -> Path:
    """Where that double keeps its state and what it applied."""
    return folder / f"{vendor}.sqlite3"


def double_of(vendor: str) -> type[Vendor]:
    """Its class; the vendor's file is not read, so that a killed double is back soon."""
    module = import_module(f"{doubles.__name__}.{vendor}")
    return next(
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Vendor) and one.__module__ == module.__name__
    )


def main(arguments: list[str]) -> int:
    """Serve until told to stop, or killed."""
    folder = Path(arguments[0])
    served = [
        _WebThread(double_of(name)(Store(file_of(folder, name))), int(port))
        for name, port in (one.split("=") for one in arguments[1:])
    ]
    sys.stdout.write("Listening.\n")
    sys.stdout.flush()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    for one in served:
        one.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
