"""An approval given in advance: for somebody in particular, until a day, and never further."""

from __future__ import annotations

from typing import Any

import pytest

from policies.evaluate import evaluate
from policies.parsing.yaml_source import DocumentError
from policies.verdicts import Evaluation, Verdict
from tests.policies.make import SMALL, changed, groups, make_document, make_facts

RULE = """\
rules:
- id: rent
  owner: head of finance
  reason: The rent, as agreed in January.
  when: ['action.type == "vendor.pay"', 'action.counterparty == "landlord"']
  effect: allow
  standing: {until: 2027-03-31, instead_of: [large]}
"""
TEXT = changed(SMALL, ("rules:\n", RULE))
DENY = "- {id: never, owner: x, reason: Never., when: [customer.known], effect: deny}\n"
ODD = (
    "- {id: odd, owner: x, reason: Odd., when: [customer.known], effect: require_approval,"
    " requirements: [{group: legal}]}\n"
)
FLOOR = (
    "- {{id: floor, owner: x, reason: High., when: [customer.known], effect: allow, tier: {}}}\n"
)


def judge(*replacements: tuple[str, str], **facts: Any) -> Evaluation:
    values = {
        "action__type": "vendor.pay",
        "action__counterparty": "landlord",
        "action__amount": 90_000,
        "time__today": "2027-03-31",
        **facts,
    }
    return evaluate(make_document(TEXT, *replacements), make_facts(**values), version="1")


def also(rule: str) -> tuple[str, str]:
    return "- id: small\n", f"{rule}- id: small\n"


def test_until_its_day_it_stands_in_for_the_rule_and_the_trace_says_so() -> None:
    found = judge()

    assert (found.verdict, found.requirements) == (Verdict.ALLOW, ())
    assert found.standing == ("rent",)
    covered = next(entry for entry in found.trace if entry.rule == "large")
    assert covered.matched
    assert covered.reason.endswith("Covered by standing approval rent.")


@pytest.mark.parametrize("today", ["2027-04-01", "2030-01-01", ""])
def test_after_its_day_and_on_no_day_people_decide_again(today: str) -> None:
    found = judge(time__today=today)

    assert (found.verdict, groups(found.requirements)) == (Verdict.REQUIRE_APPROVAL, ["finance"])
    assert found.standing == ()
    (last,) = [c for c in found.trace[0].clauses if "2027-03-31" in c.text]
    assert last.outcome == "false"


@pytest.mark.parametrize(
    "facts", [{"action__counterparty": "thief"}, {"action__type": "vendor.reverse"}]
)
def test_it_is_for_nobody_and_nothing_else(facts: dict[str, str]) -> None:
    assert judge(**facts).verdict == Verdict.REQUIRE_APPROVAL


def test_a_rule_it_does_not_name_still_asks() -> None:
    found = judge(also(ODD), customer__known=True)

    assert (found.verdict, groups(found.requirements)) == (Verdict.REQUIRE_APPROVAL, ["legal"])
    assert found.standing == ("rent",)


def test_it_never_stands_against_a_denial() -> None:
    found = judge(also(DENY), customer__known=True)

    assert (found.verdict, found.standing) == (Verdict.DENY, ())


@pytest.mark.parametrize("tier", [4, 5])
def test_it_never_reaches_the_high_tiers(tier: int) -> None:
    found = judge(also(FLOOR.format(tier)), customer__known=True)

    assert (found.verdict, found.tier, found.standing) == (Verdict.REQUIRE_APPROVAL, tier, ())
    assert "finance" in groups(found.requirements)
    assert not any("Covered" in entry.reason for entry in found.trace)


@pytest.mark.parametrize(
    ("replacement", "facts"),
    [
        (("on the loop\n  pattern: single", "in the loop\n  pattern: single"), {}),
        (("tier: 3\n  requirements: [{group: manager}]\n  evidence: []",
          "tier: 3\n  requirements: [{group: manager}]\n  evidence: [charge]"), {}),
        (("id: small", "id: small"), {"action__supervised": True}),
        (("id: small", "id: small"), {"action__rate_known": False}),
    ],
)  # fmt: skip
def test_it_never_overrules_the_engine(replacement: tuple[str, str], facts: dict[str, Any]) -> None:
    # The first "on the loop, single" is tier 2's, so the floor takes the action there.
    text = changed(TEXT, replacement)
    if "in the loop\n  pattern: single" in replacement[1]:
        text = changed(text, ("tiers:\n- tier: 3", "tiers:\n- tier: 2"))
    values = {"action__type": "vendor.pay", "action__counterparty": "landlord"}
    given = make_facts(**values, action__amount=90_000, time__today="2027-03-31", **facts)

    assert evaluate(make_document(text), given, version="1").verdict == Verdict.REQUIRE_APPROVAL


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("until: 2027-03-31", "until: 31.03.2027", "is not a date; write 2027-03-31"),
        ("until: 2027-03-31", "until: 2027-02-31", "is not a date"),
        ("until: 2027-03-31, ", "", "'until' is missing"),
        ("[large]", "[lareg]", "Did you mean 'large'?"),
        ("[large]", "[small]", "not a rule that requires approval"),
        ("[large]", "[]", "needs a rule's id"),
        ("effect: allow\n  standing", "effect: deny\n  standing", "this rule says deny"),
        ("'action.counterparty == \"landlord\"'", "'action.amount < 5'", "needs a scope"),
        ('== "landlord"\'', '!= "landlord"\'', "needs a scope"),
        ('== "landlord"\'', '== ""\'', "needs a scope"),
        ('== "landlord"\'', '== "landlord" || true\'', "needs a scope"),
        ("'action.type == \"vendor.pay\"'", "'true'", "add the clause action.type"),
    ],
)
def test_without_scope_end_or_purpose_it_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(DocumentError, match="rules") as refused:
        make_document(TEXT, (old, new))

    assert message in str(refused.value)


@pytest.mark.parametrize("fact", ["action.target", "customer.id", "agent.name"])
def test_it_may_be_for_a_target_a_customer_or_an_agent(fact: str) -> None:
    scope = ('action.counterparty == "landlord"', f'{fact} in ["a", "b"]')
    document = make_document(TEXT, scope)

    assert document.rules[0].standing
