"""Ordinary texts in many scripts raise no flag; texts written to deceive raise theirs.

Both are files of texts, so that people who write a script can add to them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from fontTools import unicodedata as scripts

from approvals.inspection import inspect

_HERE = Path(__file__).parent
ORDINARY: dict[str, dict[str, list[str]]] = yaml.safe_load(
    (_HERE / "ordinary_texts.yaml").read_text()
)
HOSTILE: dict[str, list[str]] = yaml.safe_load((_HERE / "hostile_texts.yaml").read_text())
_WRITTEN_WITH = {"Hans": {"Hani"}, "Jpan": {"Hani", "Hira", "Kana"}}
_TEXTS = [
    (script, language, text)
    for script, languages in ORDINARY.items()
    for language, texts in languages.items()
    for text in texts
]


@pytest.mark.once
@pytest.mark.parametrize(("script", "language", "text"), _TEXTS)
def test_what_ordinary_people_write_is_not_flagged(script: str, language: str, text: str) -> None:
    assert inspect(text) == ()


@pytest.mark.once
@pytest.mark.parametrize(
    ("flag", "text"), [(flag, text) for flag, texts in HOSTILE.items() for text in texts]
)
def test_what_is_written_to_deceive_is_flagged(flag: str, text: str) -> None:
    assert flag in inspect(text)


@pytest.mark.once
def test_the_texts_are_as_many_and_as_diverse_as_they_claim() -> None:
    misfiled = [
        text
        for script, _, text in _TEXTS
        if not {scripts.script(char) for char in text} & _WRITTEN_WITH.get(script, {script})
    ]

    assert misfiled == []
    assert len(ORDINARY) >= 20
    assert len({text for _, _, text in _TEXTS}) >= 200
    assert len({text for texts in HOSTILE.values() for text in texts}) >= 60
