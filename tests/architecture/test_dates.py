"""One format of dates: `config/formats` spells them, and everything else names one of those."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from django.utils.formats import get_format

from config.formats.en_GB import formats
from tests.architecture.source import ROOT, last_name, sources

NAMED = {name for name in vars(formats) if name.endswith("_FORMAT")}

_DIRECTIVE = re.compile(r"%[-_^#0]?[A-Za-z]")
"""A part of a date in the language of `strftime`."""
_MACHINE = re.compile(r"""datetime="\{\{ [\w.]+\|date:'c' \}\}\"""")
"""What a browser reads, RFC 3339."""
_FILTER = re.compile(r"""\|\s*(?:date|time):\s*("[^"]*"|'[^']*'|[\w.]+)|\{%\s*now\b()""")


def spelled_in_code(source: str) -> Iterator[int]:
    """The lines on which that code spells a date, or puts a machine's into a sentence."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FormattedValue(value=value, format_spec=letters):
                spells = _has_directive(letters) or _is_machines(value)
            case ast.Call():
                spells = _spells(node)
            case _:
                continue
        if spells:
            yield node.lineno


def _spells(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    match last_name(call.func):
        case "strftime":
            return True
        case "format" if isinstance(call.func, ast.Attribute):
            return last_name(call.func.value) == "dateformat" or _has_directive(call.func.value)
        case "format":
            return any(_has_directive(one) for one in given[1:])
        case "date_format" | "time_format":
            return any(not _is_named(one) for one in given[1:])
        case "get_format":
            return not _is_named(given[0])
    return False


def _has_directive(node: ast.AST | None) -> bool:
    parts = ast.walk(node) if node else ()
    texts = [part.value for part in parts if isinstance(part, ast.Constant)]
    return any(isinstance(text, str) and _DIRECTIVE.search(text) for text in texts)


def _is_machines(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) == "isoformat"


def _is_named(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in NAMED


def spelled_in_template(text: str) -> Iterator[int]:
    """The lines on which that template spells a date."""
    text = _MACHINE.sub("", text)
    for found in _FILTER.finditer(text):
        if (found[1] or "").strip("\"'") not in NAMED:
            yield text.count("\n", 0, found.start()) + 1


def test_no_code_spells_a_date() -> None:
    found = {path: list(spelled_in_code(text)) for path, text in sources()}

    assert {path: lines for path, lines in found.items() if lines} == {}


def test_no_template_spells_a_date() -> None:
    pages = sorted((ROOT / "templates").rglob("*.*"))
    found = {
        str(page.relative_to(ROOT)): [*spelled_in_template(page.read_text())] for page in pages
    }

    assert len(pages) > 40
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize("name", sorted(NAMED))
def test_every_named_format_is_the_one_django_uses(name: str) -> None:
    assert get_format(name) == getattr(formats, name)


@pytest.mark.parametrize(
    "offender",
    [
        'text = at.strftime("%d %b %Y")',
        "text = at.strftime(FORMAT)",
        'text = f"until {at:%H:%M} UTC"',
        'text = f"on {day:%-d %B}"',
        'text = f"until {at.isoformat()}"',
        'text = "until {:%H:%M}".format(at)',
        'text = format(at, "%H:%M")',
        'text = date_format(localtime(at), "j M Y, H:i:s")',
        'text = formats.date_format(at, format="j M")',
        "text = date_format(at, FORMAT)",
        'text = time_format(at, "H:i")',
        'text = dateformat.format(at, "j M")',
        'text = get_format("YEAR_MONTH_FORMAT")',
    ],
)
def test_the_search_finds_code_that_spells_a_date(offender: str) -> None:
    assert list(spelled_in_code(offender))


@pytest.mark.parametrize(
    "offender",
    [
        '{{ at|date:"j M Y, H:i" }}',
        "{{ at|date:'j M' }}",
        "{{ at|time:'H:i' }}",
        '{{ at | date: "c" }}',
        "{{ at|date:'c' }}",
        "{{ at|date:SHORT }}",
        '{{ at|date:"YEAR_MONTH_FORMAT" }}',
        '<time datetime="{{ at|date:\'c\' }}">{{ at|date:"H:i" }}</time>',
        '{% now "Y" %}',
    ],
)
def test_the_search_finds_templates_that_spell_a_date(offender: str) -> None:
    assert list(spelled_in_template(offender))


def test_named_formats_and_machines_are_no_offence() -> None:
    code = """
text = f"{share:.0%} until {date_format(day)} or {date_format(at, 'DATETIME_FORMAT')}"
data = {"until": at.isoformat()}
said = "{} of {}".format(some, "100 %")
"""
    page = """
<time datetime="{{ a.at|date:'c' }}">{{ a.at|date:"DATETIME_FORMAT" }}</time> {{ b.day|date }}
"""

    assert not list(spelled_in_code(code))
    assert not list(spelled_in_template(page))
