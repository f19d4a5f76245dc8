"""Our requests and the doubles' answers, held against the vendors' own specifications."""

from __future__ import annotations

import pytest

from tests.vendors.catalogue import SUBJECTS, VENDORS, Subject
from tests.vendors.conftest import KEY, Bench
from tests.vendors.double import Exchange
from tests.vendors.specifications import FOLDER, _find, files_of, held_against

UNSPECIFIED = {"slack": "Slack publishes no current specification."}


def _needs(vendor: str) -> pytest.MarkDecorator:
    why = UNSPECIFIED.get(vendor) or (
        f"VENDOR_SPECS has no specification of {vendor}"
        if FOLDER
        else f"VENDOR_SPECS names no folder with the specification of {vendor}"
    )
    return pytest.mark.skipif(not files_of(vendor), reason=why)


@pytest.mark.parametrize(
    "subject", [pytest.param(one, id=str(one), marks=_needs(one.vendor.name)) for one in SUBJECTS]
)
def test_an_operation_is_as_the_vendor_specifies_it(subject: Subject, bench: Bench) -> None:
    receipt = bench.execute()
    bench.connector.verify(bench.action, receipt)
    if bench.operation.look_up:
        bench.connector.look_up(bench.action, idempotency_key=KEY)
    (write,) = (one for one in bench.double.heard if one.method != "GET")

    checked = held_against(bench.double)

    found = _find(subject.vendor.name, write)
    assert found is not None
    assert (found.method.upper(), found.template) in checked


@pytest.mark.parametrize(
    "vendor", [pytest.param(name, id=name, marks=_needs(name)) for name in VENDORS]
)
def test_a_specification_finds_a_mistake_in_what_is_sent(vendor: str) -> None:
    """The guard on the guard: one number where text belongs, one key nobody declares."""
    double = VENDORS[vendor].double.__new__(VENDORS[vendor].double)
    double.heard = [Exchange(*_MISTAKES[vendor])]

    with pytest.raises(AssertionError, match=r"what we send|parameters nobody declares"):
        held_against(double)


_MISTAKES = {
    "github": ("PUT", "/repos/acme/shop/pulls/7/merge", {}, {"sha": 1}, 200, None),
    "hubspot": (
        "PATCH",
        "/crm/objects/2026-03/0-3/1",
        {},
        {"properties": {"amount": 5}},
        200,
        None,
    ),
    "jira": (
        "POST",
        "/rest/api/3/issue/SHOP-42/transitions",
        {},
        {"transition": {"id": "31"}, "bogus": 1},
        204,
        None,
    ),
    "zendesk": ("PUT", "/api/v2/tickets/1", {}, {"ticket": {"bogus": 1}}, 200, None),
}
