"""Whatever keeps policy from knowing sends the action to people at the highest tier."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from audit.lib.canonical import digest
from policies.document import Document
from policies.evaluate import evaluate, evaluate_stored, fail_closed
from policies.facts import Facts
from policies.matrix import Matrix
from policies.models import PolicyVersion
from policies.services import evaluation
from policies.services.evaluation import evaluate_active, evaluate_version, held_until, may_begin
from policies.services.versions import install_default
from policies.verdicts import Evaluation, Verdict
from tests.policies.make import (
    DEFAULT_TEXT,
    SMALL,
    SYSTEM,
    clean_refund,
    groups,
    make_document,
    make_facts,
    without_type,
)


def assert_people_decide_at_the_top(found: Evaluation) -> None:
    assert found.verdict == Verdict.REQUIRE_APPROVAL
    assert found.tier == 5
    assert groups(found.requirements) == ["manager", "operations"]
    assert found.failed_closed
    assert found.matched[-1].rule == "fail-closed"
    assert found.matched[-1].reason == found.failed_closed


def test_one_when_nothing_matches() -> None:
    document = make_document(SMALL, ("action.amount > 100", "action.amount > 200"))

    found = evaluate(document, make_facts(action__amount=150), version="1")

    assert_people_decide_at_the_top(found)
    assert found.failed_closed == "No rule matched."


def test_two_when_a_clause_errs_even_if_another_rule_allows() -> None:
    document = make_document(SMALL, ("[action.amount > 100]", "[100 / action.amount == 7]"))

    found = evaluate(document, make_facts(action__amount=0), version="1")

    assert "small" in {rule.rule for rule in found.matched}
    assert_people_decide_at_the_top(found)
    assert "large" in found.failed_closed
    assert [c.outcome for c in found.trace[-1].clauses] == ["error"]
    assert "divide by zero" in found.trace[-1].clauses[0].detail


def test_three_when_no_tier_rule_matches_or_one_errs() -> None:
    facts = make_facts(action__amount=50)
    nothing = make_document(SMALL, ('when: ["true"]', "when: [customer.known]"))
    error = make_document(SMALL, ('when: ["true"]', "when: [1 / (action.amount - 50) == 1]"))

    beside = make_document(
        SMALL,
        (
            "tiers:\n",
            "tiers:\n- {tier: 4, reason: Odd., when: [1 / (action.amount - 50) == 1]}\n",
        ),
    )

    for document in (nothing, error, beside):
        assert_people_decide_at_the_top(evaluate(document, facts, version="1"))
    assert "decides the tier" in evaluate(beside, facts, version="1").failed_closed


@pytest.mark.parametrize("amount", ["50", 50.0, True, None, 2**63, [50]])
def test_four_when_a_fact_is_of_the_wrong_type(amount: object) -> None:
    found = evaluate(make_document(), without_type(Facts(), amount=amount), version="1")

    assert_people_decide_at_the_top(found)
    assert "action.amount is a whole number" in found.failed_closed


def test_four_and_a_half_when_confidence_is_not_a_number() -> None:
    facts = clean_refund()
    facts = replace(facts, agent=replace(facts.agent, confidence=math.nan))

    assert_people_decide_at_the_top(evaluate(make_document(DEFAULT_TEXT), facts, version="1"))


def test_five_when_the_engine_itself_fails(caplog: pytest.LogCaptureFixture) -> None:
    broken: Document = replace(make_document(), matrix=Matrix((), ()))

    found = evaluate(broken, make_facts(action__amount=50), version="1")

    assert_people_decide_at_the_top(found)
    assert found.failed_closed == "The policy engine failed: IndexError"
    assert "people must decide" in caplog.text


@pytest.mark.django_db
def test_six_when_no_policy_is_published() -> None:
    version, found = evaluate_active(clean_refund())

    assert version is None
    assert_people_decide_at_the_top(found)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text", ["", "rules: []", "rules: [", DEFAULT_TEXT.replace("action.type", "action.tpye", 1)]
)
def test_seven_when_the_stored_document_cannot_be_read(text: str) -> None:
    version = PolicyVersion(label="x", document=text, digest=digest(text))

    assert_people_decide_at_the_top(evaluate_version(version, clean_refund()))


@pytest.mark.django_db
def test_eight_when_the_stored_document_is_not_the_one_published() -> None:
    version = PolicyVersion(label="x", document=DEFAULT_TEXT, digest="0" * 64)

    found = evaluate_version(version, clean_refund())

    assert_people_decide_at_the_top(found)
    assert "does not match its digest" in found.failed_closed


def test_denial_still_wins_over_a_failure() -> None:
    document = make_document(
        SMALL,
        ("rules:\n", "rules:\n- {id: no, owner: x, reason: No., when: ['true'], effect: deny}\n"),
        ("[action.amount > 100]", "[100 / action.amount == 7]"),
    )

    found = evaluate(document, make_facts(action__amount=0), version="1")

    assert (found.verdict, found.tier) == (Verdict.DENY, 5)


def test_the_built_in_answer_names_its_reason() -> None:
    assert_people_decide_at_the_top(fail_closed("The engine is on fire."))


@pytest.mark.django_db
def test_a_window_nobody_describes_stays_closed() -> None:
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)

    assert may_begin("", "config.change", now)
    assert not may_begin("changes", "config.change", now)
    install_default(actor=SYSTEM)
    assert may_begin("changes", "config.change", now)
    assert held_until("changes", "config.change", now) == now
    assert not may_begin("weekends", "config.change", now)
    assert held_until("weekends", "config.change", now) is None


def test_a_condition_that_exhausts_its_budget_sends_it_to_people() -> None:
    document = make_document(
        SMALL, ("[action.amount > 100]", "['evidence.flags.all(f, f != \"\")']")
    )
    many = ["x"] * 20_000

    found = evaluate(document, make_facts(action__amount=50, evidence__flags=many), version="1")

    assert_people_decide_at_the_top(found)
    assert "udget" in found.trace[-1].clauses[0].detail


class Ticking:
    """A clock on which a second passes whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.mark.django_db
def test_nine_when_it_takes_too_long(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "_compiled", evaluation._Compiled())  # nothing is remembered
    install_default(actor=SYSTEM)

    _, late = evaluate_active(clean_refund(action__target="ch_late"), cpu_seconds=Ticking())
    _, prompt = evaluate_active(clean_refund(action__target="ch_late"))

    assert_people_decide_at_the_top(late)
    assert late.failed_closed == "Policy took too long to answer."
    assert "took too long" in caplog.text
    assert prompt.verdict == Verdict.ALLOW


def test_a_document_of_costly_clauses_stops_at_the_first_look_at_the_clock() -> None:
    clauses = [f"evidence.flags.all(f, f != 'x{n}')" for n in range(40)]
    listed = ", ".join(f'"{clause}"' for clause in clauses)
    document = make_document(SMALL, ("[action.amount > 100]", f"[{listed}]"))
    looks = iter([True] * 5)
    facts = make_facts(action__amount=50, evidence__flags=["y"] * 20_000)

    found = evaluate(document, facts, version="1", in_time=lambda: next(looks, False))

    assert_people_decide_at_the_top(found)
    assert found.failed_closed == "Policy took too long to answer."


def test_ten_when_there_is_no_rate_for_the_currency() -> None:
    document = make_document(DEFAULT_TEXT)

    unknown = evaluate(document, clean_refund(action__rate_known=False), version="1")
    denied = evaluate(
        document,
        clean_refund(action__rate_known=False, action__amount=2_000_001),
        version="1",
    )

    assert_people_decide_at_the_top(unknown)
    assert "no exchange rate" in unknown.failed_closed
    assert (denied.verdict, denied.tier) == (Verdict.DENY, 5)


def test_eleven_when_the_document_has_no_rules() -> None:
    empty = replace(make_document(), rules=())

    found = evaluate(empty, make_facts(action__amount=50), version="1")

    assert_people_decide_at_the_top(found)
    assert found.failed_closed == "No rule matched."


def test_twelve_when_a_fact_is_one_nobody_declared() -> None:
    found = evaluate_stored(make_document(), {"action.amount": 50, "action.amout": 5}, version="1")

    assert_people_decide_at_the_top(found)
    assert "'action.amout' is not a fact" in found.failed_closed


def test_a_target_nobody_could_read_is_for_people_at_the_top() -> None:
    document = make_document(DEFAULT_TEXT)

    unread = evaluate(document, clean_refund(evidence__preview_available=False), version="1")
    read = evaluate(document, clean_refund(), version="1")

    assert_people_decide_at_the_top(unread)
    assert (
        unread.failed_closed == "The target could not be read, so nobody knows what would change."
    )
    assert read.verdict == Verdict.ALLOW
