"""Where the files of systems are: in the product, in the installation's folders, in packages.

Of the product's files only a few are everybody's. The others are the systems companies buy; an
installation names those it has in `SYSTEMS`, so that no list is long with what nobody uses, and
two vendors may both have a "ticket.close".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from connectors.protocols import PROTOCOLS

PRODUCT = Path(__file__).resolve().parent.parent / "systems"
EVERYBODYS = frozenset({"changes", "directory", "logistics"})
"""The product's files that need not be named."""
GROUP = "countersign.systems"
"""Entry points of this group are systems: the name is the system's, the object is a
`connectors.system.System` or the `pathlib.Path` of its file."""


class FolderError(Exception):
    """SYSTEMS or SYSTEMS_PATH names what is not there, or two files describe one system."""


def product_files() -> dict[str, Path]:
    """Every file of the product by its system's name, named in SYSTEMS or not."""
    return {file.stem: file for file in sorted(PRODUCT.glob("*.yaml"))}


def files(folders: Sequence[str], named: Collection[str] = ()) -> Iterator[Path]:
    """The product's files that are everybody's or `named`, then those of the folders.

    Each in alphabetical order. Raises FolderError.
    """
    ours = product_files()
    for name in named:
        if name not in ours and name not in PROTOCOLS:
            known = ", ".join(sorted({*ours, *PROTOCOLS}))
            raise FolderError(f"SYSTEMS names {name}. There are: {known}.")
    seen = {name: file for name, file in ours.items() if name in EVERYBODYS or name in named}
    yield from seen.values()
    for folder in map(Path, folders):
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


def names(folders: Sequence[str], named: Collection[str] = ()) -> list[str]:
    """The names of all those systems, without reading any. Raises FolderError."""
    return [*(file.stem for file in files(folders, named)), *(found.name for found in packaged())]
