"""The people of the pages, and a request they can decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from approvals.models import ActionRequest
    from tests.admin.make import House
    from tests.worlds import Maker


@pytest.fixture
def begins_with() -> Maker:
    """One person per role, and an agent."""
    from tests.admin.make import make_people  # models exist only once Django is set up

    return make_people


@pytest.fixture
def house(begun: Any) -> House:
    """One person per role, and an agent."""
    house: House = begun
    return house


@pytest.fixture
def request_(house: House) -> ActionRequest:
    """A refund of 150 EUR that finance decides, because the customer complained."""
    from tests.approvals.make import make_request, refund

    request = make_request(house.agent, refund("ch_1037", "150.00"))
    assert list(request.requirements.values_list("group", flat=True)) == ["finance"]
    return request
