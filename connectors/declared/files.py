"""Where the files of systems are: in the product, in the installation's folders, in packages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

PRODUCT = Path(__file__).resolve().parent.parent / "systems"
GROUP = "countersign.systems"
"""Entry points of this group are systems: the name is the system's, the object is a
`connectors.system.System` or the `pathlib.Path` of its file."""


class FolderError(Exception):
    """A folder of SYSTEMS_PATH cannot be read, or two files describe one system."""


def files(folders: Sequence[str]) -> Iterator[Path]:
    """The product's files, then those of the folders, each in alphabetical order.

    Raises FolderError.
    """
    seen: dict[str, Path] = {}
    for folder in (PRODUCT, *map(Path, folders)):
        if not folder.is_dir():
            raise FolderError(f"SYSTEMS_PATH names {folder}, which is no folder.")
        for file in sorted(folder.glob("*.yaml")):
            if file.stem in seen:
                raise FolderError(f"{file} and {seen[file.stem]} describe the same system.")
            seen[file.stem] = file
            yield file


def packaged() -> Iterator[EntryPoint]:
    """The systems that installed packages bring."""
    yield from sorted(entry_points(group=GROUP), key=lambda found: found.name)


def names(folders: Sequence[str]) -> list[str]:
    """The names of all those systems, without reading any. Raises FolderError."""
    return [*(file.stem for file in files(folders)), *(found.name for found in packaged())]
