"""What every example shares and no framework cares about: which runs there are, and their files.

`python EXAMPLE.py RUN=TASK RUN=TASK ...` begins each run or goes on with it, and says in a line of
JSON what it came to; null while people decide. Kill it whenever you like and start it again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(os.environ.get("RUNS", "runs"))


class Run:
    """One task, and what must survive of it: a database in real life. Keep it on the server.

    A history that a client hands back could have been given an approval nobody gave. Countersign
    would not act on it, but the model would believe it.
    """

    def __init__(self, name: str, task: str) -> None:
        self.name, self.task = name, task
        self._file = FOLDER / f"{name}.json"

    def saved(self) -> str:
        return self._file.read_text() if self._file.exists() else ""

    def save(self, text: str) -> None:
        draft = self._file.with_suffix(".new")
        draft.write_text(text)
        draft.replace(self._file)  # whole or not at all


def main(go: Callable[[Run], str | None]) -> None:
    """Begin or go on with every run named on the command line."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for argument in sys.argv[1:]:
        name, task = argument.split("=", 1)
        sys.stdout.write(json.dumps({name: go(Run(name, task))}) + "\n")
        sys.stdout.flush()
