"""What a risk owner changes in the default policy: one number, one more rule."""

from __future__ import annotations

from policies.evaluate import evaluate
from policies.static_analysis.lint import failed_tests
from policies.verdicts import Verdict
from tests.policies.make import DEFAULT_TEXT, clean_refund, make_document
from tests.policies.test_default_policy import action

ALLOW, ASK = Verdict.ALLOW, Verdict.REQUIRE_APPROVAL


def test_one_number_moves_the_threshold_its_rules_its_reasons_and_its_tests() -> None:
    document = make_document(DEFAULT_TEXT, ("refund_automatic: 25000", "refund_automatic: 40000"))

    assert failed_tests(document) == ()
    for amount, verdict in [(40_000, ALLOW), (40_001, ASK)]:
        facts = clean_refund(action__amount=amount, velocity__target_sum_24h=amount)
        found = evaluate(document, facts, version="1")
        assert found.verdict == verdict
    assert "Above 400.00 EUR a person decides." in [rule.reason for rule in found.matched]


def test_a_standing_approval_for_one_vendor_works_as_one_more_rule() -> None:
    rule = """\
rules:
  - id: rent
    owner: head of finance
    reason: The rent, as agreed.
    when:
      - action.type == "vendor.pay"
      - action.counterparty == "acct_5001"
      - action.amount <= 200000 && action.currency == "EUR"
    effect: allow
    standing: {until: 2027-03-31, instead_of: [vendor-payment]}
"""
    document = make_document(DEFAULT_TEXT, ("rules:\n", rule))
    rent = {
        "action__counterparty": "acct_5001",
        "action__amount": 118_000,
        "action__currency": "EUR",
        "velocity__first_for_counterparty": False,
        "time__today": "2027-01-01",
        "evidence__kinds": ["vendor_record", "diff", "impact_estimate"],
    }

    found = evaluate(document, action("vendor.pay", **rent), version="1")
    first = {**rent, "velocity__first_for_counterparty": True}

    assert (found.verdict, found.standing) == (ALLOW, ("rent",))
    assert evaluate(document, action("vendor.pay", **first), version="1").verdict == ASK
