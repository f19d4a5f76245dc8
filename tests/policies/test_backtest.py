"""Replays: which way every past case flips, what it sums up to, and the command that says so."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit.lib.canonical import canonical
from policies.models import Backtest, User
from policies.models.replays import Direction
from policies.replay.backtest import PastCase, Replay, Said, direction_of, load, replay
from policies.replay.summary import Summary
from policies.verdicts import Verdict
from tests.policies import shelf
from tests.policies.make import SMALL, make_deciders, make_document, make_facts, make_user
from tests.policies.shelf import CASES, LOOSER, NOON, make_past

# --- Directions ----------------------------------------------------------------------------------

ALLOWED = Said(Verdict.ALLOW, 3)
ASKED = Said(Verdict.REQUIRE_APPROVAL, 3, ("finance",), 1)
DENIED = Said(Verdict.DENY, 3)


@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        (ALLOWED, ALLOWED, Direction.SAME),
        (ALLOWED, ASKED, Direction.STRICTER),
        (ASKED, DENIED, Direction.STRICTER),
        (DENIED, ALLOWED, Direction.LOOSER),
        (ASKED, ALLOWED, Direction.LOOSER),
        (ASKED, Said(Verdict.REQUIRE_APPROVAL, 3, ("finance", "manager"), 2), Direction.STRICTER),
        (ASKED, Said(Verdict.REQUIRE_APPROVAL, 3, ("manager",), 1), Direction.REROUTED),
        (ASKED, Said(Verdict.REQUIRE_APPROVAL, 4, ("finance",), 1), Direction.STRICTER),
        (ASKED, Said(Verdict.REQUIRE_APPROVAL, 2, ("manager",), 1), Direction.LOOSER),
        (DENIED, Said(Verdict.DENY, 5), Direction.SAME),
    ],
)
def test_every_flip_has_one_direction(before: Said, after: Said, direction: Direction) -> None:
    assert direction_of(before, after) == direction


def test_the_same_document_flips_nothing() -> None:
    assert list(replay(make_document(), CASES)) == []


def test_a_higher_threshold_makes_requests_automatic() -> None:
    flips = list(replay(make_document(LOOSER), CASES))

    assert [flip.amount_minor for flip in flips] == list(range(125, 401, 25))
    assert {flip.direction for flip in flips} == {Direction.LOOSER}
    assert {(flip.before.asked, flip.after.verdict) for flip in flips} == {(("finance",), "allow")}


def test_the_summary_counts_and_adds_up() -> None:
    run = Replay(make_document(LOOSER))
    run.over(CASES)
    summary = run.finished()

    assert (summary.total, summary.same, summary.flips.count) == (20, 8, 12)
    assert summary.flips.looser.amount_base == sum(range(125, 401, 25))
    assert summary.newly_automatic == summary.flips.looser
    assert summary.no_longer_automatic.count == 0
    assert summary.by_agent["bot"] == summary.by_action_type["refund.issue"] == summary.flips
    assert summary.never_matched == ()
    assert Summary.from_json(summary.as_json()) == summary


def test_a_rule_that_matched_none_is_named() -> None:
    run = Replay(make_document())
    run.over(CASES[:3])

    assert run.finished().never_matched == ("large",)


def test_money_without_a_rate_is_counted_and_not_added() -> None:
    facts = json.loads(CASES[-1].facts) | {"action.rate_known": False}
    older = json.loads(CASES[-1].facts) | {"action.currency": "USD"}
    del older["action.amount_base"]
    cases = [
        PastCase("1", canonical(facts), DENIED, NOON),
        PastCase("2", canonical(older), DENIED, NOON),
    ]
    run = Replay(make_document())

    run.over(cases)

    assert (run.summary.flips.looser.unpriced, run.summary.flips.looser.amount_base) == (2, 0)


def test_facts_of_every_release_are_replayed() -> None:
    old = PastCase("1", '{"action.amount":5}', ASKED, NOON)
    newer = PastCase("2", '{"action.amount":5,"moon.phase":"full"}', ASKED, NOON)
    broken = PastCase("3", "{", ALLOWED, NOON)
    wrong = PastCase("4", '{"action.amount":"5"}', ALLOWED, NOON)
    run = Replay(make_document())

    flips = run.over([old, newer, broken, wrong])

    assert [flip.after.verdict for flip in flips] == ["allow", "allow"] + ["require_approval"] * 2
    assert (run.finished().unknown_facts, run.summary.unreadable) == (1, 1)
    assert run.summary.failed_closed == 2


def test_what_was_laid_over_the_policy_stays_laid_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    held = make_past(1, 50, verdict=Verdict.REQUIRE_APPROVAL, asked=("manager",), people=1)
    monkeypatch.setattr(shelf, "held", {"request-1": Verdict.REQUIRE_APPROVAL})
    run = Replay(make_document(), past=shelf)

    assert run.over([held]) == []
    assert len(Replay(make_document()).over([held])) == 1


@pytest.fixture
def rita(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> User:
    """A risk owner, in a house that has past cases."""
    settings.POLICY_PAST_CASES = "tests.policies.shelf"
    monkeypatch.setattr(shelf, "cases", CASES)
    make_deciders()
    return make_user("rita", "risk owner")


# --- Facts of other releases ----------------------------------------------------------------------


def test_facts_of_an_older_release_have_the_defaults_of_this_one() -> None:
    answer = Replay(make_document()).answer({"action.amount": 50})

    assert (answer.verdict, [entry.rule for entry in answer.matched]) == ("allow", ["small"])


def test_facts_of_another_release_are_not_looked_at() -> None:
    facts = {**make_facts(action__amount=50).flat(), "moon.phase": "full"}
    run = Replay(make_document())

    assert run.answer(facts).verdict == "allow"
    assert run.summary.unknown_facts == 1


@pytest.mark.parametrize("value", ["50", True, 50.0, None, 2**63, [50]])
def test_a_fact_of_the_wrong_type_goes_to_people_even_after_its_twin_was_fine(
    value: object,
) -> None:
    run = Replay(make_document())
    assert run.answer({"action.amount": 50}).verdict == "allow"

    answer = run.answer({"action.amount": value})

    assert (answer.verdict, answer.tier) == ("require_approval", 5)
    assert answer.failed_closed


def test_an_error_in_a_clause_is_told_every_time() -> None:
    broken = make_document(SMALL, ("action.amount <= 100", "100 / action.amount >= 1"))
    run = Replay(broken)

    answers = [run.answer({"action.amount": amount}) for amount in (50, 0, 50)]

    assert [answer.verdict for answer in answers] == ["allow", "require_approval", "allow"]
    assert answers[1].failed_closed == "A condition of small could not be evaluated."


def test_facts_that_are_no_object_are_refused() -> None:
    for text in ("[]", "3", "{", ""):
        with pytest.raises(ValueError):  # noqa: PT011 - json's own is one too
            load(text)
    assert load(json.dumps({"a": 1})) == {"a": 1}


# --- The command ---------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "draft.yaml"
    found.write_text(LOOSER)
    return found


def said(*args: str) -> str:
    out = io.StringIO()
    call_command("backtest", *args, stdout=out)
    return out.getvalue()


def test_the_command_says_what_would_change(rita: User, file: Path) -> None:
    text = said(str(file))

    assert text.startswith("20 requests replayed in ")
    assert "12 would differ" in text
    assert "fewer people asked: 12 (31.50 EUR)" in text
    assert "newly automatic: 12 (31.50 EUR)" in text
    assert "request-16 refund.issue, 4.00 EUR: require_approval (finance) to allow (nobody)" in text
    assert Backtest.objects.count() == 0


def test_the_command_says_it_to_programs_too(rita: User, file: Path) -> None:
    found = json.loads(said(str(file), "--json", "--limit", "6"))

    assert found["replay"]["total"] == 6
    assert found["replay"]["flips"]["looser"]["count"] == 1
    assert {one["code"] for one in found["findings"]} == {"no_rule"}


@pytest.mark.parametrize(
    ("text", "args", "code", "message"),
    [
        ("rules: [", (), 1, ", column "),
        (SMALL.replace("effect: allow", "effect: alow"), (), 1, "rules[0].effect, line 6, column"),
        (SMALL, ("--limit", "0"), 2, "--limit must be at least 1."),
        (None, (), 2, "cannot be read"),
    ],
)
def test_the_command_refuses_with_the_exit_code_of_the_reason(
    rita: User, tmp_path: Path, text: str | None, args: tuple[str, ...], code: int, message: str
) -> None:
    file = tmp_path / "draft.yaml"
    if text is not None:
        file.write_text(text)

    with pytest.raises(CommandError, match=r"\w") as refusal:
        said(str(file), *args)

    assert (refusal.value.returncode, message in str(refusal.value)) == (code, True)
