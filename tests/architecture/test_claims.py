"""What the README says Countersign is has its proof, and promises no more than is kept."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from django.test import Client
from django.utils.html import escape

from approvals.api.claims import CLAIMS, Claim

ROOT = Path(__file__).resolve().parents[2]
PLACES = [place for claim in CLAIMS for place in (*claim.code, *claim.tests)]
WRITTEN = {".py", ".md", ".html", ".yaml", ".toml", ".js", ".css"}
TOO_MUCH = re.compile(r"exactly[\s-]+once|once\s+and\s+only\s+once|effectively[\s-]+once", re.I)


def sentences(readme: str) -> list[str]:
    """Those of "What it is", without its table and its remark on where they are proved."""
    section = readme.partition("## What it is\n")[2].partition("<!--")[0]
    return re.split(r"(?<=\.)\s+(?=[A-Z])", " ".join(section.split()))


def is_there(place: str) -> bool:
    """A path, or a name defined in it."""
    path, _, name = place.replace("::", ":").partition(":")
    file = ROOT / path
    return file.is_file() and (not name or name in _defined(file))


@cache
def _defined(file: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {n.name for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, kinds)}


def test_every_sentence_of_the_readme_has_its_entry_in_order() -> None:
    told = sentences((ROOT / "README.md").read_text())

    assert told == [claim.sentence for claim in CLAIMS]
    assert len(told) > 5


def test_a_sentence_somebody_adds_is_found() -> None:
    readme = (ROOT / "README.md").read_text()

    changed = readme.replace("## What it is\n", "## What it is\n\nIt is never wrong.\n", 1)

    assert sentences(changed)[0] == "It is never wrong."


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.sentence[:30])
def test_a_claim_names_code_a_test_and_what_is_not_claimed(claim: Claim) -> None:
    assert claim.code
    assert all(test.startswith("tests/") and "::test_" in test for test in claim.tests)
    assert claim.tests
    assert claim.not_claimed


@pytest.mark.parametrize("place", PLACES)
def test_what_a_claim_names_is_there(place: str) -> None:
    assert is_there(place), f"{place} is gone: what proves the claim now?"


@pytest.mark.parametrize(
    "gone",
    ["approvals/gone.py", "policies/evaluate.py:gone", "tests/races/test_executing.py::test_gone"],
)
def test_what_is_gone_is_noticed(gone: str) -> None:
    assert not is_there(gone)


def test_nothing_we_ship_promises_more_than_at_most_once() -> None:
    folders = ("approvals", "audit", "config", "connectors", "policies", "templates")
    files = [*ROOT.glob("*.md"), *(path for f in folders for path in (ROOT / f).rglob("*"))]

    written = [path for path in files if path.suffix in WRITTEN]
    said = [path for path in written if TOO_MUCH.search(path.read_text())]

    assert len(written) > 300
    assert said == []


def test_the_page_shows_all_of_it_to_anybody() -> None:
    answer = Client().get("/api/v1/claims/")

    page = answer.content.decode()
    assert answer.status_code == 200
    for claim in CLAIMS:
        for words in (claim.plain, *claim.code, *claim.tests, *claim.not_claimed):
            assert escape(words) in page
    assert Client().post("/api/v1/claims/").status_code == 405
