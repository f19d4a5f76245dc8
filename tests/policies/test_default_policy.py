"""What the default policy answers on the demo world."""

from __future__ import annotations

from typing import Any

import pytest

from policies.evaluate import evaluate
from policies.facts import Facts
from policies.static_analysis.lint import failed_tests
from policies.verdicts import Evaluation, Verdict
from tests.policies.make import DEFAULT_TEXT, READ, clean_refund, groups, make_document, make_facts

DOCUMENT = make_document(DEFAULT_TEXT)
ALLOW, ASK, DENY = Verdict.ALLOW, Verdict.REQUIRE_APPROVAL, Verdict.DENY


def evaluated_on(facts: Facts) -> Evaluation:
    return evaluate(DOCUMENT, facts, version="2026-01-01.1")


CASES: dict[str, dict[str, Any]] = {
    "email.send": {"params": {"subject": "Your order", "body": "Your parcel is on its way."}},
    "crm.update": {"params": {"fields": {"phone": "+49 30 5550 1"}}},
    "order.correct": {"params": {"fields": {"quantity": 2}}, "before": {"quantity": 1}},
    "config.change": {"params": {"key": "max_items"}},
    "vendor.pay": {
        "time__month_ago": "2026-10-22",
        "target": {
            "invoice_paid": False,
            "order_known": True,
            "order_vendor_matches": True,
            "order_total_matches": True,
            "order_open_quantity": 1,
            "bank_account_since": "2023-04-01",
        },
    },
    "vendor.bank_account": {"target": {"holder_matches": True, "country_matches": True}},
}
"""An ordinary case of each kind that rules look into."""


def action(key: str, **values: Any) -> Facts:
    return make_facts(action__type=key, **{"evidence__kinds": READ, **CASES.get(key, {}), **values})


def mail(body: str) -> Facts:
    return make_facts(action__type="email.send", params={"subject": "Hello", "body": body})


def test_its_own_tests_pass() -> None:
    assert failed_tests(DOCUMENT) == ()


def test_every_role_it_names_decides_and_every_override_window_exists() -> None:
    for cell in DOCUMENT.matrix.tiers:
        assert not cell.window or cell.window in DOCUMENT.windows


def test_a_small_clean_refund_is_allowed_at_tier_three() -> None:
    found = evaluated_on(clean_refund())

    assert (found.verdict, found.tier, found.requirements) == (ALLOW, 3, ())
    assert [rule.rule for rule in found.matched] == ["refund-clean"]
    assert found.failed_closed == ""


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"action__amount": 25_001}, "refund-above-automatic"),
        ({"customer__known": False}, "refund-unknown-customer"),
        ({"customer__refunds_90d": 2}, "refund-repeated"),
        ({"customer__complaints_90d": 1}, "refund-complaints"),
        ({"evidence__flags": ["bidi"]}, "flagged-text"),
        ({"agent__confidence": 0.69}, "unsure"),
        ({"agent__confidence": 0.0}, "unsure"),
        ({"velocity__target_count_24h": 2}, "refund-split"),
        ({"velocity__target_sum_24h": 25_001}, "refund-split"),
        ({"velocity__agent_allowed_24h": 200_001}, "refund-agent-total"),
        ({"velocity__customer_sum_24h": 25_001}, "refund-split-customer"),
        ({"velocity__customer_count_24h": 4}, "refund-split-customer"),
        ({"velocity__customer_sum_30d": 50_001}, "refund-split-month"),
        ({"velocity__owner_allowed_24h": 200_001}, "refund-owner-total"),
        ({"agent__level": 0}, "probation"),
        ({"agent__over_budget": True}, "over-budget"),
        ({"agent__overrides_30d": 3}, "repeated-overrides"),
        ({"evidence__stale": ["ticket"]}, "stale-evidence"),
        ({"evidence__conflicting": True}, "conflicting-evidence"),
        ({"velocity__duplicates": 1}, "duplicate"),
    ],
)
def test_every_blemish_sends_a_refund_to_finance_and_says_which(
    change: dict[str, Any], rule: str
) -> None:
    found = evaluated_on(clean_refund(**change))

    assert found.verdict == ASK
    assert groups(found.requirements) == ["finance"]
    assert found.requirements[0].within_limit
    assert rule in {entry.rule for entry in found.matched}
    assert found.failed_closed == ""


def test_a_clean_refund_whose_charge_could_not_be_read_goes_to_finance() -> None:
    found = evaluated_on(clean_refund(evidence__kinds=["customer_record", "impact_estimate"]))

    assert (found.verdict, groups(found.requirements)) == (ASK, ["finance"])
    assert found.matched[-1].reason == "Required evidence is missing: charge."


@pytest.mark.parametrize("confidence", [-1.0, 0.7, 1.0])
def test_confidence_stated_high_or_not_at_all_is_fine(confidence: float) -> None:
    assert evaluated_on(clean_refund(agent__confidence=confidence)).verdict == ALLOW


@pytest.mark.parametrize("confidence", [-0.5, -2.0])
def test_a_confidence_that_means_nothing_falls_to_people_at_the_highest_tier(
    confidence: float,
) -> None:
    found = evaluated_on(clean_refund(agent__confidence=confidence))

    assert (found.verdict, found.tier) == (ASK, 5)
    assert found.failed_closed == "No rule matched."


@pytest.mark.parametrize(
    ("amount", "verdict", "who", "limited"),
    [
        (25_000, ALLOW, [], []),
        (25_001, ASK, ["finance"], ["finance"]),
        (50_000, ASK, ["finance"], ["finance"]),
        (50_001, ASK, ["manager"], ["manager"]),
        (200_000, ASK, ["manager"], ["manager"]),
        (500_000, ASK, ["manager"], ["manager"]),
        (500_001, ASK, ["finance", "manager"], ["manager"]),
        (2_000_000, ASK, ["finance", "manager"], ["manager"]),
        (2_000_001, DENY, [], []),
    ],
)
def test_refunds_climb_with_their_amount(
    amount: int, verdict: Verdict, who: list[str], limited: list[str]
) -> None:
    found = evaluated_on(clean_refund(action__amount=amount))

    assert (found.verdict, groups(found.requirements)) == (verdict, who)
    assert groups(spec for spec in found.requirements if spec.within_limit) == limited


@pytest.mark.parametrize("amount", [1, 60_000, 900_000])
def test_money_in_another_currency_needs_a_manager_within_limit(amount: int) -> None:
    found = evaluated_on(clean_refund(action__amount=amount, action__currency="USD"))

    assert found.verdict == ASK
    assert [(s.group, s.within_limit) for s in found.requirements] == [("manager", True)]


@pytest.mark.parametrize(
    ("key", "verdict", "tier", "who"),
    [
        ("email.send", ASK, 3, ["support"]),
        ("crm.update", ASK, 2, ["operations"]),
        ("order.correct", ASK, 2, ["operations"]),
        ("shipment.reroute", ASK, 2, ["operations"]),
        ("vendor.bank_account", ASK, 4, ["finance", "security"]),
        ("crm.tag", ALLOW, 1, []),
        ("draft.reply", ALLOW, 1, []),
        ("access.grant", ASK, 4, ["operations", "security"]),
        ("access.revoke", ASK, 4, ["operations", "security"]),
        ("config.change", ASK, 4, ["operations", "security"]),
        ("robot.run", ASK, 5, ["manager", "operations"]),
        ("moon.launch", ASK, 5, ["manager", "operations"]),
        ("", ASK, 5, ["manager", "operations"]),
    ],
)
def test_each_kind_of_action_finds_its_people(
    key: str, verdict: Verdict, tier: int, who: list[str]
) -> None:
    found = evaluated_on(action(key))

    assert (found.verdict, found.tier, groups(found.requirements)) == (verdict, tier, who)


@pytest.mark.parametrize(
    ("facts", "rules"),
    [
        (
            make_facts(
                action__type="crm.update",
                customer__segment="business",
                params={"fields": {"stage": "won"}},
            ),
            {"record-change", "enterprise-deal-won"},
        ),
        (
            make_facts(
                action__type="crm.update",
                customer__segment="loyal",
                params={"fields": {"stage": "won"}},
            ),
            {"record-change"},
        ),
        *(
            (
                mail(body),
                {"customer-email", "email-names-amount"},
            )
            for body in (
                "We refund 40 EUR.",
                "EUR 40 it is",
                "you get \u20ac40",
                "40\u20ac",
                "USD 7",
            )
        ),
        *(
            (
                mail(body),
                {"customer-email"},
            )
            for body in ("Order 40 is on its way.", "40 Europeans", "Our euro office, floor 4")
        ),
    ],
)
def test_the_reviewer_reads_what_is_odd_about_the_case(facts: Facts, rules: set[str]) -> None:
    assert {rule.rule for rule in evaluated_on(facts).matched} == rules


def test_undoing_a_record_change_needs_the_same_people() -> None:
    found = evaluated_on(action("crm.update", action__is_undo=True))

    assert groups(found.requirements) == ["operations"]


@pytest.mark.parametrize("key", ["vendor.pay", "vendor.reverse"])
def test_vendor_money_needs_finance_and_a_manager_within_limit(key: str) -> None:
    found = evaluated_on(action(key, action__amount=118_000, action__currency="EUR"))

    assert groups(found.requirements) == ["finance", "manager"]
    assert groups(s for s in found.requirements if s.within_limit) == ["manager"]
    assert found.categories == (("new payee",) if key == "vendor.pay" else ())


def test_an_invoice_without_purchase_order_is_an_exception_with_the_same_people() -> None:
    found = evaluated_on(
        action(
            "vendor.pay",
            action__amount=1,
            action__currency="EUR",
            evidence__missing_purchase_order=True,
        )
    )

    assert groups(found.requirements) == ["finance", "manager"]
    assert found.categories == ("no purchase order", "new payee")


@pytest.mark.parametrize(
    ("facts", "who"),
    [
        (clean_refund(evidence__flags=["injection"]), ["finance", "security"]),
        (action("crm.tag", evidence__flags=["injection"]), ["operations", "security"]),
        (action("access.grant", evidence__flags=["injection"]), ["operations", "security"]),
        (action("email.send", evidence__flags=["injection"]), ["security", "support"]),
    ],
)
def test_an_injection_adds_security_and_never_runs_by_itself(facts: Facts, who: list[str]) -> None:
    found = evaluated_on(facts)

    assert found.verdict == ASK
    assert groups(found.requirements) == who
    assert "injection" in found.categories


def test_an_agent_over_its_ceiling_brings_a_manager_in() -> None:
    found = evaluated_on(clean_refund(agent__over_ceiling=True))

    assert groups(found.requirements) == ["finance", "manager"]


@pytest.mark.parametrize("target", ["group domain-admins", "group Domain-Admins"])
def test_nobody_becomes_domain_admin_through_an_agent(target: str) -> None:
    assert evaluated_on(action("access.grant", action__target=target)).verdict == DENY
    assert evaluated_on(action("access.grant", action__counterparty=target)).verdict == DENY
    assert evaluated_on(action("access.revoke", action__target=target)).verdict == ASK


def test_clocks_reasons_and_windows_follow_the_tier() -> None:
    hours = {
        key: tuple(
            int(clock.total_seconds() // 3600)
            for clock in (
                evaluated_on(action(key)).deadlines.decide_by,
                evaluated_on(action(key)).deadlines.execute_by,
            )
        )
        for key in ("crm.tag", "crm.update", "email.send", "access.grant", "robot.run")
    }

    assert hours == {
        "crm.tag": (24, 24),
        "crm.update": (8, 24),
        "email.send": (4, 24),
        "access.grant": (2, 8),
        "robot.run": (1, 2),
    }
    assert evaluated_on(action("config.change")).window == "changes"
    assert evaluated_on(action("config.change")).reason_required
    assert not evaluated_on(action("crm.update")).reason_required


@pytest.mark.parametrize("agent_level", [1, 2, 3])
def test_every_level_but_probation_lets_clean_refunds_run(agent_level: int) -> None:
    assert evaluated_on(clean_refund(agent__level=agent_level)).verdict == ALLOW


def test_what_the_person_asking_could_not_approve_brings_a_manager_in() -> None:
    found = evaluated_on(clean_refund(requester__over_ceiling=True))

    assert groups(found.requirements) == ["finance", "manager"]
    assert found.categories == ("beyond authority",)


def test_what_a_person_rejected_today_is_denied_until_it_is_changed() -> None:
    found = evaluated_on(clean_refund(velocity__rejected_24h=1))
    undo = evaluated_on(action("vendor.reverse", velocity__rejected_24h=1, action__is_undo=True))

    assert found.verdict == DENY
    (reason,) = [rule.reason for rule in found.matched if rule.effect == DENY]
    assert reason.startswith("A person rejected exactly this in the last 24 hours: change it")
    assert undo.verdict == ASK


@pytest.mark.parametrize("level", [0, 1])
def test_an_agent_on_probation_does_nothing_unseen(level: int) -> None:
    assert evaluated_on(action("crm.tag", agent__level=level)).verdict == (
        ASK if level == 0 else ALLOW
    )
