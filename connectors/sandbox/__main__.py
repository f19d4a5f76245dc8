"""`python -m connectors.sandbox --data DIR`: all outside systems in one process.

Prints one line of JSON when everything listens: the addresses, and what `settings.CONNECTORS`
must be. Stops on SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from connectors.sandbox.server import Ports, Sandbox


def main() -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m connectors.sandbox", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="where state is kept")
    parser.add_argument(
        "--port-base",
        type=int,
        default=8011,
        help="first of six ports: payments, smtp, mail archive, directory, changes, logistics; "
        "0 for any free ones",
    )
    parser.add_argument("--records-url", default="", help="the CRM database; SQLite in --data")
    arguments = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    ports = Ports.from_base(arguments.port_base)
    with Sandbox(arguments.data, ports, arguments.records_url) as sandbox:
        report = {"addresses": sandbox.addresses, "connectors": sandbox.connectors}
        sys.stdout.write(json.dumps(report) + "\n")
        sys.stdout.flush()
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
