"""A row says what, who, why and how risky; what waits for others is grey, and counts for nobody."""

from __future__ import annotations

import pytest
from django.core.cache import cache

from approvals.models import ActionRequest
from approvals.proposal import SuppliedEvidence
from approvals.selectors.inbox import TO_DECIDE, listed
from approvals.selectors.inbox_counts import FOR_VIEWER, counts_of_tabs
from approvals.selectors.inbox_rows import Row, rows_of
from approvals.services.evidence import supply_evidence
from audit.lib import db_clock
from policies.models import User
from tests.admin.make import House, browser, inbox, text_of
from tests.approvals.make import look_at, make_limit, make_person, make_request, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    cache.clear()


def rows_for(viewer: User, team: str = "finance") -> list[Row]:
    at = db_clock.now()
    found = listed(team, TO_DECIDE, at=at, viewer=viewer).select_related(
        "agent__owner", "requested_by"
    )
    return rows_of(list(found.order_by(*TO_DECIDE.order)), viewer=viewer, at=at)


def counted_for(viewer: User, team: str = "finance") -> int:
    cache.clear()
    return counts_of_tabs(team, viewer=viewer, at=db_clock.now())[FOR_VIEWER]


def test_a_row_says_why_a_person_is_asked_and_that_it_cannot_be_undone(
    house: House, request_: ActionRequest
) -> None:
    text = text_of(browser(house.fred).get(inbox()))

    assert "The customer complained in the last 90 days." in text
    assert "cannot be undone" in text
    assert "is-others" not in text


def test_what_is_above_ones_limit_is_grey_names_who_can_and_does_not_count(house: House) -> None:
    small, large = (
        make_request(house.agent, refund("ch_1003", "300.00")),
        make_request(house.agent, refund("ch_1004", "450.00")),
    )
    make_limit(house.fred, "400.00", action_type="refund.issue")

    by_request = {row.request.pk: row for row in rows_for(house.fred)}

    assert not by_request[small.pk].is_for_others
    turn = by_request[large.pk].turn
    assert turn is not None
    assert (turn.may_approve, turn.why_not) == (False, "above your limit")
    assert "fay" in turn.others
    assert counted_for(house.fred) == 1
    assert counted_for(house.fay) == 2
    assert "Above your limit: fay can" in text_of(browser(house.fred).get(inbox()))


def test_who_has_decided_supplied_evidence_or_owns_the_agent_sees_it_grey(house: House) -> None:
    decided, supplied = (
        make_request(house.agent, refund("ch_1003", "300.00"), session="a"),
        make_request(house.agent, refund("ch_1004", "310.00"), session="b"),
    )
    supply_evidence(
        supplied.pk, person=house.fred, reviewed=look_at(supplied, house.fred),
        evidence=SuppliedEvidence(kind="note", title="Called them", excerpt="They agree."),
    )  # fmt: skip
    assert counted_for(house.fred) == 1
    assert counted_for(house.fay) == 2
    turns = {row.request.pk: row.turn for row in rows_for(house.fred)}

    assert turns[supplied.pk].why_not == "you took part in it"  # type: ignore[union-attr]
    assert turns[decided.pk].may_approve  # type: ignore[union-attr]
    assert not any(row.is_for_others for row in rows_for(house.fay))


def test_the_count_and_the_rows_agree_whoever_looks(house: House) -> None:
    for number, amount in enumerate(("260.00", "450.00", "499.00"), start=1003):
        make_request(house.agent, refund(f"ch_{number}", amount), session=amount)
    make_limit(house.fay, "460.00", action_type="refund.*")
    lent = make_person("lena", "finance")

    for viewer in (house.fred, house.fay, lent):
        mine = [row for row in rows_for(viewer) if not row.is_for_others]
        assert counted_for(viewer) == len(mine), viewer


def test_twins_stand_together_and_say_so(house: House) -> None:
    first = make_request(house.agent, refund("ch_1003", "300.00"), session="a")
    other = make_request(house.agent, refund("ch_1004", "310.00"), session="b")
    twin = make_request(house.agent, refund("ch_1003", "300.00"), session="c")
    assert first.business_key == twin.business_key

    rows = rows_for(house.fay)

    assert [row.request.pk for row in rows] == [first.pk, twin.pk, other.pk]
    assert [(row.twins, row.is_later_twin) for row in rows] == [(2, False), (2, True), (1, False)]
    text = text_of(browser(house.fay).get(inbox()))
    assert "asked for 2 times" in text
    assert "Twin of the one above" in text
