"""What is wrong with a file is said with its place and its remedy, all at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from audit.lib.yaml_source import YamlError
from connectors.declared.parse import parse
from connectors.loading import SystemsError, load
from connectors.params import validate_params
from tests.helpdesk.double import TEXT

MARK = "\u2038"


def mistakes(text: str, name: str = "helpdesk") -> list[str]:
    with pytest.raises(YamlError) as refused:
        parse(text, name)
    return [str(problem) for problem in refused.value.problems]


@dataclass(frozen=True)
class Seed:
    """One mistake in the helpdesk's file."""

    instead_of: str
    write: str
    says: str

    def sown(self, text: str) -> str:
        """The text with the mistake, and a mark where it is to be told."""
        assert self.instead_of in text
        return text.replace(self.instead_of, self.write, 1)

    def into(self, text: str) -> str:
        return self.sown(text).replace(MARK, "")

    def place(self, text: str) -> str:
        before, _, _ = self.sown(text).partition(MARK)
        return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


SEEDS = {
    name: Seed(**seed)
    for name, seed in yaml.safe_load(Path(__file__).with_name("mistakes.yaml").read_text()).items()
}


@pytest.mark.parametrize("seed", SEEDS.values(), ids=SEEDS.keys())
def test_a_mistake_is_found_where_it_is(seed: Seed) -> None:
    said = mistakes(seed.into(TEXT))

    assert any(seed.place(TEXT) in one and seed.says in one for one in said), said


def test_all_mistakes_of_a_file_are_told_at_once_in_reading_order() -> None:
    text = SEEDS["an address that is none"].into(TEXT)

    said = mistakes(SEEDS["a verb there is none of"].into(text))

    assert len(said) == 2
    assert "https://" in said[0]
    assert "Did you mean 'send'?" in said[1]


def test_a_file_is_named_after_its_system() -> None:
    (said,) = mistakes(TEXT, "support")

    assert "support.yaml describes the system support" in said


def test_a_target_nobody_could_keep_is_refused_before_anything_is_stored() -> None:
    text = TEXT.replace(
        '"^T-[0-9]{1,9}$"\n        maxLength: 12', '"^[A-Z]*$"\n        maxLength: 400'
    )
    text = text.replace("    example: {ticket: T-1, answer: We sent a new lamp.}\n", "")
    close = parse(text, "helpdesk").operations[0].type

    said = validate_params(close, {"ticket": "T" * 250, "answer": "Sent."})

    assert [error.path for error in said] == ["params.ticket"]
    assert "the target would have over 200 letters" in said[0].message
    assert validate_params(close, {"ticket": "T" * 150, "answer": "Sent."}) == []


def test_nothing_is_registered_of_a_folder_with_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "helpdesk.yaml").write_text(TEXT.replace("verb: send", "verb: sent", 1))

    with pytest.raises(SystemsError, match=r"helpdesk\.yaml: operations\.ticket\.comment\.verb"):
        load((str(tmp_path),))


def test_two_systems_never_declare_one_action_type(tmp_path: Path) -> None:
    other = TEXT.replace("system: helpdesk", "system: supportdesk")
    (tmp_path / "helpdesk.yaml").write_text(TEXT)
    (tmp_path / "supportdesk.yaml").write_text(other)

    with pytest.raises(SystemsError, match=r"both declare ticket\.close"):
        load((str(tmp_path),))


@pytest.mark.parametrize("name", ["payments", "changes"])
def test_a_folder_replaces_none_of_the_products_systems(tmp_path: Path, name: str) -> None:
    text = TEXT.replace("system: helpdesk", f"system: {name}")
    (tmp_path / f"{name}.yaml").write_text(text)

    with pytest.raises(SystemsError, match=r"the same system|Two systems"):
        load((str(tmp_path),))


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(SystemsError, match="SYSTEMS_PATH names /nowhere"):
        load(("/nowhere",))
