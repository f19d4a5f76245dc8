"""Whole stories, told only through what users have: the API and the admin's forms."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from django.core.management import call_command

from tests.journeys.conftest import House

OK = {"reason_code": "as_proposed", "comment": ""}


def proposal(action_type: str, **params: Any) -> dict[str, Any]:
    """A proposal body."""
    return {"action_type": action_type, "params": params, "intent": "Because."}


def with_evidence(body: dict[str, Any], *kinds: str) -> dict[str, Any]:
    """The same with sources of these kinds."""
    sources = [{"kind": k, "title": k, "excerpt": "Nothing speaks against it."} for k in kinds]
    return {**body, "evidence": sources}


def refund(amount: str, charge: str = "ch_1001") -> dict[str, Any]:
    return proposal("refund.issue", charge=charge, amount=amount, currency="EUR", reason="broken")


def test_a_refund_is_proposed_approved_carried_out_verified_and_proved(house: House) -> None:
    asked = house.agent.propose(refund("400.00"), key="k")
    assert asked["state"] == "pending_approval"

    house.person("fiona").decide(asked["id"], "approve", OK)
    approved = house.agent.get(asked["id"])
    house.work()
    done = house.agent.get(asked["id"])

    assert approved["state"] == "approved"
    assert done["state"] == "audited"
    assert done["execution"]["verified"] is True
    assert done["decisions"][0]["verdict"] == "approve"
    (effect,) = house.effects("payments")
    assert (effect["kind"], effect["amount"], effect["id"]) == (
        "refund",
        40000,
        done["execution"]["receipt"],
    )
    call_command("verify_audit")


def test_a_refund_above_a_managers_limit_goes_to_the_one_whose_limit_covers_it(
    house: House,
) -> None:
    asked = house.agent.propose(refund("1200.00"), key="k")
    assert asked["requirements"] == [
        {
            "group": "manager",
            "quorum": 1,
            "minimum": "1200.00 EUR",
            "met": False,
            "stage": 1,
            "alternatives": [],
            "escalated_to": None,
            "alarm": None,
        }
    ]

    with pytest.raises(LookupError):  # Mona's page has no form to approve with
        house.person("mona").decide(asked["id"], "approve", OK)
    page = house.person("mona").page(asked["id"])
    assert "above your approval limit" in page
    assert "max" in page.lower()
    house.person("max").decide(asked["id"], "approve", OK)
    house.work()

    assert house.agent.get(asked["id"])["state"] == "audited"


def test_the_agents_owner_cannot_decide_on_its_requests(house: House) -> None:
    asked = house.agent.propose(refund("400.00"), key="k")

    with pytest.raises(LookupError):
        house.person("olga").decide(asked["id"], "approve", OK)

    assert "owner" in house.person("olga").page(asked["id"])
    assert house.agent.get(asked["id"])["state"] == "pending_approval"


def test_an_edited_mail_goes_out_as_somebody_else_approved_it(house: House) -> None:
    asked = house.agent.propose(
        proposal(
            "email.send",
            to="customer1006@mail.example",
            subject="Your order",
            body="We refund everything and 50 % on top.",
        ),
        key="k",
    )
    house.person("susi").decide(
        asked["id"],
        "edit",
        {"param-body": "We are sorry for the delay.", "reason_code": "corrected", "comment": ""},
    )

    edited = house.agent.get(asked["id"])
    assert (edited["state"], edited["version"]) == ("pending_approval", 2)
    assert edited["decisions"][0]["edits"]["body"][1] == "We are sorry for the delay."
    with pytest.raises(LookupError):
        house.person("susi").decide(asked["id"], "approve", OK)
    house.person("sam").decide(asked["id"], "approve", OK)
    house.work()

    assert house.agent.get(asked["id"])["state"] == "audited"
    (mail,) = house.effects("email")
    assert "sorry for the delay" in str(mail)


def test_a_record_is_changed_and_changed_back(house: House) -> None:
    asked = house.agent.propose(
        proposal("crm.update", record="acct_2003", fields={"stage": "won"}), key="k"
    )
    house.person("omar").decide(asked["id"], "approve", OK)
    house.work()
    assert house.agent.get(asked["id"])["state"] == "audited"

    undo = house.agent.post(asked["id"], "undo", {"reason": "wrong account"})
    again = house.agent.post(asked["id"], "undo", {"reason": "wrong account"})
    assert undo["compensates"] == asked["id"]
    assert again["id"] == undo["id"]
    house.person("olive").decide(undo["id"], "approve", OK)
    house.work()

    assert house.agent.get(undo["id"])["state"] == "audited"
    assert house.agent.get(asked["id"])["state"] == "compensated"
    assert len(house.effects("records")) == 2


def test_an_access_right_takes_two_groups_and_a_signature(house: House) -> None:
    grant = proposal("access.grant", user="jonas.weber", group="crm-editors", until="2099-12-31")
    asked = house.agent.propose(with_evidence(grant, "risk_analysis"), key="k")
    house.person("sven").decide(asked["id"], "approve", OK)
    half = house.agent.get(asked["id"])
    house.work()
    assert half["state"] == "pending_approval"
    assert sorted(r["met"] for r in half["requirements"]) == [False, True]
    assert house.effects("directory") == []

    house.person("omar").decide(asked["id"], "approve", OK)
    house.work()
    assert house.agent.get(asked["id"])["state"] == "verified"
    house.person("sven").decide(asked["id"], "sign-off", {"note": "Checked in the directory."})

    assert house.agent.get(asked["id"])["state"] == "audited"
    assert len(house.effects("directory")) == 1


def test_a_question_stops_the_clock_and_an_answer_starts_it_again(house: House) -> None:
    asked = house.agent.propose(
        proposal("order.correct", order="ord_3009", fields={"quantity": 12}), key="k"
    )
    house.person("omar").decide(asked["id"], "ask", {"question": "Who said twelve?"})
    waiting = house.agent.get(asked["id"])
    assert waiting["state"] == "changes_requested"
    assert waiting["answer_by"]
    assert waiting["decisions"][0]["comment"] == "Who said twelve?"

    answered = house.agent.post(asked["id"], "answer", {"answer": "The customer, by phone."})
    assert answered["state"] == "pending_approval"
    assert "The customer, by phone." in house.person("omar").page(asked["id"])
    house.person("omar").decide(asked["id"], "approve", OK)
    house.work()

    assert house.agent.get(asked["id"])["state"] == "audited"


def test_the_agent_learns_why_it_was_rejected(house: House) -> None:
    asked = house.agent.propose(
        proposal("vendor.pay", vendor="acct_5001", amount="640.00", currency="EUR", invoice="I-1"),
        key="k",
    )
    house.person("fiona").decide(
        asked["id"], "reject", {"reason_code": "evidence_missing", "comment": "No order."}
    )
    house.work()

    told = house.agent.get(asked["id"])
    assert told["state"] == "rejected"
    assert told["decisions"][0]["reason_code"] == "evidence_missing"
    assert told["decisions"][0]["comment"] == "No order."
    assert house.effects("payments") == []


def test_a_robot_waits_for_a_person_to_start_it(house: House) -> None:
    run = proposal("robot.run", robot="robot-2", task="move_pallet", zone="B")
    asked = house.agent.propose(with_evidence(run, "manual_override"), key="k")
    with pytest.raises(LookupError):
        house.person("omar").decide(asked["id"], "approve", OK)
    checked = {"kind": "hazard_check", "title": "Zone B", "text": "Nobody is there.", "uri": ""}
    house.person("mona").decide(asked["id"], "supply", checked)
    house.person("omar").decide(asked["id"], "approve", OK)
    house.person("max").decide(asked["id"], "approve", OK)
    house.work()
    assert house.agent.get(asked["id"])["state"] == "approved"
    assert house.effects("logistics") == []

    house.person("olive").decide(asked["id"], "start", {})
    house.work()

    assert house.agent.get(asked["id"])["state"] == "verified"
    assert len(house.effects("logistics")) == 1


def test_an_auditor_reads_it_all_and_changes_nothing(house: House) -> None:
    asked = house.agent.propose(refund("400.00"), key="k")

    page = house.person("ada").page(asked["id"])

    assert "Refund 400.00 EUR" in page
    assert "/approve/" not in page
    with pytest.raises(httpx.HTTPStatusError):
        house.person("petra").page(asked["id"])
