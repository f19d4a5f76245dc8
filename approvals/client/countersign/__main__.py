"""The command `countersign`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .scan import scan

_EPILOG = (
    "Exit code 0: nothing acts without asking, as far as was seen; 1: something does; 2: usage."
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="countersign", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    told = commands.add_parser(
        "scan",
        help="find calls and tools of an agent that act without approval",
        epilog=_EPILOG,
    )
    told.add_argument("path", type=Path, metavar="PATH", help="a folder, or one file")
    told.add_argument("--json", action="store_true", help="for machines")
    told.add_argument("--drafts", type=Path, metavar="FILE", help="write the drafted action types")
    told.add_argument(
        "--ours",
        action="append",
        default=[],
        metavar="URL",
        help="a Countersign installation, whose tools ask (default: COUNTERSIGN_URL)",
    )
    options = parser.parse_args(arguments)
    here = os.environ.get("COUNTERSIGN_URL", "")
    try:
        report = scan(options.path, ours=(*options.ours, *([here] if here else [])))
    except ValueError as error:
        sys.stderr.write(f"countersign scan: {error}\n")
        return 2
    if options.drafts is not None:
        drafts = {f.draft.key: f.draft.text for f in report.findings}
        options.drafts.write_text("".join(drafts[key] + "\n" for key in sorted(drafts)))
    said = report.as_json() if options.json else "\n".join(report.lines())
    sys.stdout.write(said + "\n")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
