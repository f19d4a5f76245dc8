"""A day in logistics: one agent reports what became of shipments, and each goes where it belongs.

The dispatchers are a team of this company and own the shipments: data, and no line of policy.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from policies.services.ownership import OwnerRow, set_owners
from tests.approvals.make import INSTALLER, make_person, make_team
from tests.journeys.conftest import House

OK = {"reason_code": "as_proposed", "comment": ""}


@pytest.fixture
def dispatch(house: House) -> None:
    """A team of dispatchers, which owns every shipment."""
    make_team("dispatch", make_person("dora"))
    owned = OwnerRow("logistics", "shipment *", "service", team="dispatch")
    set_owners([owned], actor=INSTALLER, reason="test")


def report(house: House, shipment: str, status: str, hours_late: int = 0) -> dict[str, Any]:
    """What became of a shipment, as the agent heard it."""
    params = {"shipment": shipment, "status": status, "hours_late": hours_late, "note": "by phone"}
    body = {"action_type": "shipment.report", "params": params, "intent": "Because."}
    asked: dict[str, Any] = house.agent.propose(body, key=f"{shipment}-{status[:3]}")
    return asked


def asked_of(answer: dict[str, Any]) -> list[str]:
    return [requirement["group"] for requirement in answer["requirements"]]


@pytest.mark.usefixtures("dispatch")
def test_each_report_goes_where_it_belongs(house: House) -> None:
    routine = report(house, "shp_6001", "delivered", 3)
    late = report(house, "shp_6002", "delayed", 50)
    disputed = report(house, "shp_6003", "payment disputed")
    broken = report(house, "shp_6004", "damaged")
    unhappy = report(house, "shp_6008", "damaged")
    cheap = report(house, "shp_6005", "cancelled")
    valuable = report(house, "shp_6009", "cancelled")

    assert (routine["state"], routine["requirements"]) == ("approved", [])
    assert asked_of(late) == asked_of(broken) == asked_of(cheap) == ["dispatch"]
    assert asked_of(disputed) == ["finance"]
    assert asked_of(unhappy) == ["support"]
    assert asked_of(valuable) == ["manager"]
    for person, answer in (
        ("dora", late), ("fiona", disputed), ("susi", unhappy), ("mona", valuable),
    ):  # fmt: skip
        house.person(person).decide(answer["id"], "approve", OK)
    house.work()

    done = [house.agent.get(one["id"]) for one in (routine, late, disputed, unhappy, valuable)]
    assert {one["state"] for one in done} == {"audited"}
    effects = house.effects("logistics")
    assert sorted(effect["detail"]["status"] for effect in effects) == [
        "cancelled", "damaged", "delayed", "delivered", "payment disputed",
    ]  # fmt: skip


@pytest.mark.usefixtures("dispatch")
def test_nobody_decides_for_another_team(house: House) -> None:
    """Damaged goods of an unhappy customer are support's, whatever a dispatcher thinks."""
    unhappy = report(house, "shp_6008", "damaged")

    with pytest.raises(httpx.HTTPStatusError):  # there is no such page for her
        house.person("dora").decide(unhappy["id"], "approve", OK)

    assert house.agent.get(unhappy["id"])["state"] == "pending_approval"


def test_without_dispatchers_operations_is_asked(house: House) -> None:
    late = report(house, "shp_6002", "delayed", 50)

    assert asked_of(late) == ["operations"]
    assert late["requirements"][0]["alarm"] is None
    house.person("omar").decide(late["id"], "approve", OK)
    house.work()

    assert house.agent.get(late["id"])["state"] == "audited"
