"""Facts are what the system knows: who asks, what sources are worth, what words contradict."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from approvals.domain.derivation import rederive
from approvals.domain.fact_builder import LARGEST_PART, _sample
from approvals.domain.policy_check import check_policy
from approvals.inspection import contradicts, stated_amounts
from approvals.proposal import SuppliedEvidence
from approvals.selectors.requests import action_of
from approvals.services.dry_run import check
from audit.lib import db_clock
from audit.lib.money import Money
from connectors.base import Preview
from connectors.sandbox.server import Sandbox
from policies.facts import CASE, declared
from policies.services import people
from tests.approvals.counting import another_charge
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    approve_with_edits,
    crm,
    fresh,
    look_at,
    make_agent,
    make_limit,
    make_proposal,
    make_request,
    manager_refund,
    publish,
    refund,
    reject,
)
from tests.approvals.story import facts_of


def source(**fields: Any) -> SuppliedEvidence:
    values = {"kind": "ticket", "title": "Ticket 1", "authority": "internal", **fields}
    return SuppliedEvidence(**values)


def test_every_declared_fact_and_the_case_are_kept_with_every_decision(cast: Cast) -> None:
    request = make_request(cast.agent, crm(stage="lead"), action_type="crm.update")

    facts = facts_of(request)

    assert set(facts) == {*declared(), *CASE}
    assert facts["params"] == action_of(request).params
    assert facts["before"] == {"stage": "qualified"}
    assert facts["after"] == {"stage": "lead"}


def test_no_padding_hides_params_from_the_rules(cast: Cast) -> None:
    publish(cast, ("rules:\n", f"rules:\n{NO_PRESS}"))
    mail = {"to": "news@press.example", "subject": "Hello", "body": "\U0001f600" * 20_000}

    request = make_request(cast.agent, mail, action_type="email.send")

    assert request.state == "denied"
    assert facts_of(request)["params"] == mail


NO_PRESS = """
  - id: no-press
    owner: head of communication
    reason: Agents do not write to the press.
    on: [email.send]
    when:
      - params.to.endsWith("@press.example")
    effect: deny
"""


def test_what_a_target_shows_beyond_all_measure_is_not_known(cast: Cast) -> None:
    candidate = rederive(make_request(cast.agent))
    at = db_clock.now()
    huge = Preview(before={"log": "x" * LARGEST_PART}, after={"log": ""}, target_version="1")

    facts = check_policy(candidate, huge, now=at).facts

    assert (facts.case.before, facts.case.after) == (None, {"log": ""})


@pytest.mark.parametrize(
    ("registered", "named", "differs"),
    [("small-2", "large-1", True), ("small-2", "small-2", False), ("", "large-1", False)],
)
def test_a_model_is_held_against_the_one_the_agent_was_registered_with(
    cast: Cast, registered: str, named: str, differs: bool
) -> None:
    agent = make_agent(cast.owner, "with-a-model", model=registered)

    facts = facts_of(make_request(agent, said={"model": {"id": named, "prompt_version": "7"}}))

    assert (facts["model.id"], facts["model.prompt_version"]) == (named, "7")
    assert facts["model.differs"] is differs


def test_an_agent_that_names_no_model_names_no_other(cast: Cast) -> None:
    facts = facts_of(make_request(make_agent(cast.owner, "with-a-model", model="small-2")))

    assert (facts["model.id"], facts["model.differs"]) == ("", False)


# --- On whose behalf


@pytest.mark.parametrize("spelling", ["fred", "FRED", "Fred@Retailer.Example"])
def test_a_requester_is_found_by_name_or_mail_however_it_is_spelt(
    cast: Cast, spelling: str
) -> None:
    facts = facts_of(make_request(cast.agent, on_behalf_of=spelling))

    assert (facts["requester.known"], facts["requester.over_ceiling"]) == (True, False)
    assert facts["requester.name"] == spelling


def test_nobody_asks_through_an_agent_for_more_than_they_may_approve(cast: Cast) -> None:
    make_limit(cast.fred, "100.00")

    under = make_request(cast.agent, refund("ch_1003", "100.00"), on_behalf_of="fred")
    over = make_request(cast.agent, refund("ch_1004", "100.01"), on_behalf_of="fred")
    without = make_request(cast.agent, refund("ch_1005", "1.00"), on_behalf_of="otto")

    assert [facts_of(one)["requester.over_ceiling"] for one in (under, over, without)] == [
        False,
        True,
        True,
    ]
    assert [fresh(one).verdict for one in (under, over, without)] == [
        "allow",
        "require_approval",
        "require_approval",
    ]


def test_a_deactivated_requester_may_approve_nothing(cast: Cast) -> None:
    people.deactivate(cast.fred.pk, actor=INSTALLER, reason="left")

    facts = facts_of(make_request(cast.agent, on_behalf_of="fred"))

    assert (facts["requester.known"], facts["requester.over_ceiling"]) == (True, True)


def test_somebody_without_an_account_is_unknown_and_over_nothing(cast: Cast) -> None:
    facts = facts_of(make_request(cast.agent, on_behalf_of="customer@mail.example"))

    assert (facts["requester.known"], facts["requester.over_ceiling"]) == (False, False)


def test_an_action_without_money_is_over_nobodys_limit(cast: Cast) -> None:
    tag = {"record": "acct_2001", "tag": "vip"}

    facts = facts_of(make_request(cast.agent, tag, action_type="crm.tag", on_behalf_of="otto"))

    assert (facts["requester.known"], facts["requester.over_ceiling"]) == (True, False)


# --- The agent and its past


def test_what_people_rejected_or_edited_counts_once_a_request_and_by_kind(cast: Cast) -> None:
    reject(make_request(cast.agent, manager_refund("700.00")), cast.mona)
    edited = make_request(cast.agent, manager_refund("800.00"))
    for amount, editor in (("750.00", cast.mona), ("740.00", cast.max)):
        approve_with_edits(
            edited.pk,
            decider=editor,
            reviewed=look_at(edited, editor),
            params=manager_refund(amount),
            reason_code="corrected",
        )
    tag = make_request(cast.agent, {"record": "acct_2001", "tag": "x"}, action_type="crm.tag")
    approve(make_request(cast.agent, manager_refund("900.00")), cast.mona)

    assert facts_of(make_request(cast.agent))["agent.overrides_30d"] == 2
    assert facts_of(tag)["agent.overrides_30d"] == 0


def test_the_customer_is_who_the_system_of_record_names(cast: Cast, sandbox: Sandbox) -> None:
    other = another_charge(sandbox)

    found = [facts_of(make_request(cast.agent, refund(c))) for c in ("ch_1002", other)]

    assert [facts["customer.id"] for facts in found] == ["cus_1002", "cus_1002"]
    assert [facts["velocity.customer_count_24h"] for facts in found] == [1, 2]
    assert [facts["velocity.target_count_24h"] for facts in found] == [1, 1]


def test_the_sample_is_drawn_once_a_day_for_a_target_and_evenly_spread(cast: Cast) -> None:
    """Whoever is told that people will look cannot withdraw and draw again."""
    request = make_request(cast.agent, manager_refund())
    first, now = rederive(request), db_clock.now()
    midnight = 20_000 * 24 * 60 * 60 * 1000
    ids = [UUID(int=(midnight + minute * 60_000 << 80) + minute) for minute in range(24 * 60 + 1)]

    def drawn(**changes: Any) -> int:
        return _sample(replace(first, **changes), now)

    assert facts_of(request)["action.sample"] == drawn()
    assert len({drawn(request_id=id, params=refund(amount="9.00")) for id in ids[:-1]}) == 1
    assert (
        len({drawn(request_id=UUID(int=midnight + day * 86_400_000 << 80)) for day in range(50)})
        > 9
    )
    spread = Counter(drawn(target=f"charge {n}") for n in range(10_000))
    assert set(spread) == set(range(100))
    assert all(50 < n < 160 for n in spread.values())


def test_time_comes_from_the_policy_in_force(cast: Cast) -> None:
    facts = facts_of(make_request(cast.agent))

    assert facts["time.today"]
    assert facts["time.open_windows"] == ["changes"]


# --- What the sources are worth


def test_sources_are_as_good_as_the_worst_of_them(cast: Cast) -> None:
    def lowest(*authorities: str) -> str:
        items = tuple(source(title=f"T{n}", authority=a) for n, a in enumerate(authorities))
        request = make_request(
            cast.agent, manager_refund(f"60{len(authorities)}.00"), evidence=items
        )
        return str(facts_of(request)["evidence.lowest_authority"])

    assert lowest() == ""
    assert lowest("official") == "official"
    assert lowest("Official ", "internal") == "internal"
    assert lowest("official", "internal", "external") == "external"
    assert lowest("official", "internal", "external", "approved by the CFO") == "unknown"


def test_a_source_read_more_than_a_day_ago_is_stale(cast: Cast) -> None:
    now = db_clock.now()
    items = (
        source(kind="ticket", retrieved_at=now - timedelta(hours=25)),
        source(kind="photo", title="Photo", retrieved_at=now - timedelta(hours=23)),
        source(kind="note", title="Note"),
    )

    assert facts_of(make_request(cast.agent, evidence=items))["evidence.stale"] == ["ticket"]


def test_two_quotes_of_one_source_that_differ_conflict(cast: Cast) -> None:
    same = {"uri": "https://helpdesk.retailer.example/1"}
    conflict = (source(excerpt="broken", **same), source(title="T2", excerpt="fine", **same))
    apart = (source(excerpt="broken"), source(title="Ticket 2", excerpt="fine"))

    first = make_request(cast.agent, manager_refund("600.00"), evidence=conflict)
    second = make_request(cast.agent, manager_refund("601.00"), evidence=apart)

    assert facts_of(first)["evidence.conflicting"]
    assert "contradiction" in facts_of(first)["evidence.flags"]
    assert not facts_of(second)["evidence.conflicting"]


def test_words_about_other_money_than_the_params_are_flagged_and_asked_about(cast: Cast) -> None:
    proposal = make_proposal(refund(amount="90.00"), intent="Refund 10.00 EUR, as agreed.")

    request = make_request(
        cast.agent, refund(amount="90.00"), intent="Refund 10.00 EUR, as agreed."
    )

    assert "contradiction" in facts_of(request)["evidence.flags"]
    assert fresh(request).state == "pending_approval"
    assert check(proposal, agent=cast.agent).evaluation.verdict == "require_approval"


def test_a_reviewer_who_corrects_the_amount_contradicts_nobody(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund("800.00"), intent="Refund 800.00 EUR.")

    approve_with_edits(
        request.pk,
        decider=cast.mona,
        reviewed=look_at(request, cast.mona),
        params=manager_refund("700.00"),
        reason_code="corrected",
    )

    assert not facts_of(request)["evidence.conflicting"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.00 EUR", ["10.00 EUR"]),
        ("EUR 10", ["10 EUR"]),
        ("€10 and 12,50 €", ["10 EUR", "12.5 EUR"]),
        ("1,250.00 EUR", ["1250 EUR"]),
        ("1.250,00 EUR", ["1250 EUR"]),
        ("1'250 CHF", ["1250 CHF"]),
        ("EUR 1,250", ["1250 EUR"]),
        ("$99.90", ["99.9 "]),
        ("refund 5000EUR", ["5000 EUR"]),
    ],
)
def test_sums_of_money_are_read_as_people_write_them(text: str, found: list[str]) -> None:
    read = stated_amounts(text)

    assert read == [(Decimal(number), code) for number, code in (one.split(" ") for one in found)]


@pytest.mark.parametrize(
    "text",
    [
        "The customer meant twelve, not 10.",
        "Order 1002 of 20 November 2026, lamp 40 W, 50 % off",
        "TRY 3 times, ALL 5 of them, TOP 10",
        "Ticket 4004: Lamp arrived broken",
        "IBAN DE89 3704 0044 0532 0130 00",
        "neurEUR1 and EURO 2024",
        "",
    ],
)
def test_ordinary_numbers_are_no_sums_of_money(text: str) -> None:
    assert stated_amounts(text) == []


@pytest.mark.parametrize(
    ("said", "sources", "result"),
    [
        (["Refund 90.00 EUR"], [], False),
        (["Refund 90 EUR of 240.00 EUR"], [], False),
        (["Refund 10.00 EUR"], [], True),
        (["Refund 90.00 USD"], [], True),
        (["Refund $90"], [], False),
        ([], ["Invoice over 240.00 EUR"], False),  # part of it
        ([], ["Refund of 10.00 EUR"], True),
        ([], ["Postage 5.00 EUR", "Lamp 90.00 EUR"], False),
        ([], ["10.00 USD"], False),  # of which nobody knows the worth here
        (["the shipping and half of it"], ["no sums"], False),
    ],
)
def test_what_contradicts_an_amount_of_ninety_euros(
    said: list[str], sources: list[str], result: bool
) -> None:
    assert contradicts(Money(9_000, "EUR"), said=said, sources=sources) is result
