"""Cut the theme's fonts down to the letters and icons that pages show: a seventh of their weight.

Run it after an upgrade of the theme, or when a page shows an icon it did not show before (a test
says so):

    uv run --with brotli python -m config.subset_fonts

The cut fonts in `config/static` stand before the theme's. Letters they lack come from the reader's
own fonts.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import re2
import unfold
from fontTools import subset
from fontTools.ttLib import TTFont

HERE = Path(__file__).parent
THEME = Path(unfold.__file__).parent
THEMES_FONTS = THEME / "static" / "unfold" / "fonts"
OWN_FONTS = HERE / "static" / "unfold" / "fonts"
ICONS = Path("material-symbols") / "Material-Symbols-Outlined.woff2"
LETTERS = (
    *range(0x20, 0x7F),  # Basic Latin
    *range(0xA0, 0x180),  # Latin-1 Supplement, Latin Extended-A
    *range(0x218, 0x21C),  # Romanian
    *range(0x2010, 0x2028),  # dashes, quotes, bullet, ellipsis
    *range(0x2030, 0x203B),
    0x20AC,  # euro
    *range(0x2190, 0x2194),  # arrows
    *(0x2212, 0x2260, 0x2264, 0x2265, 0x2713, 0x2715),  # minus, comparisons, check, cross
)


_WORD = re2.compile(r"[a-z][a-z0-9_]+")
FEATURES = ["kern", "liga", "calt", "ccmp", "locl", "mark", "tnum"]
KEPT_ICONS = HERE / "icons.txt"
"""The names of the icons in the cut font."""


def main() -> None:
    for font in sorted((THEMES_FONTS / "inter").glob("*.woff2")):
        _cut(font.relative_to(THEMES_FONTS), LETTERS)
    icons = sorted(_named() & set(TTFont(THEMES_FONTS / ICONS).getGlyphOrder()))
    _cut(ICONS, tuple(range(0x20, 0x7F)), icons)
    KEPT_ICONS.write_text("".join(f"{icon}\n" for icon in icons), "ascii")
    for license_file in THEMES_FONTS.glob("*/LICENSE"):
        shutil.copy(license_file, OWN_FONTS / license_file.relative_to(THEMES_FONTS))


def _named() -> set[str]:
    """Every word in templates, styles and programs, ours and the theme's: some name an icon."""
    own = ("approvals", "audit", "config", "connectors", "policies", "templates")
    folders = [THEME, *(HERE.parent / name for name in own)]
    files = (
        file
        for folder in folders
        for kind in ("*.html", "*.py", "*.css")
        for file in folder.rglob(kind)
    )
    return {word for file in files for word in _WORD.findall(file.read_text())}


def _cut(font: Path, letters: Sequence[int], icons: Sequence[str] = ()) -> None:
    options = subset.Options(flavor="woff2", layout_features=["*"] if icons else FEATURES)
    options.layout_closure = not icons  # or every icon spelt with those letters would stay
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=letters, glyphs=icons)
    whole = subset.load_font(THEMES_FONTS / font, options)
    cutter.subset(whole)
    (OWN_FONTS / font).parent.mkdir(parents=True, exist_ok=True)
    subset.save_font(whole, OWN_FONTS / font, options)


if __name__ == "__main__":
    main()
