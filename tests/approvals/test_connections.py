"""Several accounts of one system, and who changes where they lead."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from approvals.exceptions import NotReversible
from approvals.services.connections import (
    probe_connection,
    problems_of,
    remove_connection,
    set_connection,
)
from approvals.services.execute import execute
from approvals.services.undo import propose_undo
from audit.actors import Actor
from audit.models import AuditEvent
from connectors.connections import config_of, route_of
from connectors.models import Binding, Connection
from connectors.sandbox.server import Sandbox
from policies.exceptions import PolicyError
from policies.models import AuthorityChange
from policies.services.dual_control import agree
from tests.approvals.make import INSTALLER, Cast, approve, fresh, make_person, make_request
from tests.connections import (
    INVOICE,
    PAYING,
    SECRET,
    VARIABLE,
    an_approved_refund,
    at,
    connect,
    terms,
)

pytestmark = pytest.mark.django_db

VILLAIN = "http://127.0.0.1:6666"


@pytest.fixture(autouse=True)
def _credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)


def routes() -> list[object]:
    return [route_of(key, "payments") for key in ("refund.issue", *PAYING)]


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises(PolicyError) as refused:
        work()
    return refused.value.code


# --- Two accounts --------------------------------------------------------------------------------


def test_each_action_type_has_its_effect_in_the_account_it_is_bound_to(
    cast: Cast, sandbox: Sandbox, second: Sandbox
) -> None:
    connect(terms(cast, values=at(second), action_types=PAYING))
    refunded = an_approved_refund(cast)
    payment = make_request(cast.agent, INVOICE, action_type="vendor.pay")

    execute(refunded.pk)
    for person in (cast.fred, cast.mona):
        if fresh(payment).state == "pending_approval":
            approve(payment, person)
    execute(payment.pk)

    assert fresh(refunded).state in {"verified", "audited"}
    assert fresh(payment).state in {"verified", "audited"}
    first, other = sandbox.effects("payments"), second.effects("payments")
    assert [effect["kind"] for effect in first] == ["refund"]
    assert len(other) == 1
    assert other[0]["kind"] != "refund"


def test_what_is_bound_to_nothing_goes_through_the_environment_as_before(
    cast: Cast, sandbox: Sandbox, second: Sandbox
) -> None:
    connect(terms(cast, values=at(second)))

    found = route_of("refund.issue", "payments")

    assert found is not None
    assert (found.name, found.is_from_environment) == ("payments", True)
    assert config_of("refund.issue", "payments") == sandbox.connectors["payments"]


def test_binding_an_action_type_takes_it_from_the_connection_it_had(
    cast: Cast, second: Sandbox
) -> None:
    first = connect(terms(cast, values=at(second), action_types=("refund.issue",)))

    other = connect(terms(cast, name="payments-us", action_types=("refund.issue",)))

    in_force = Binding.objects.get(action_type="refund.issue", ended_at=None)
    assert in_force.connection == other
    events = AuditEvent.objects.filter(subject_type="connectors.connection")
    codes = list(events.filter(subject_id=str(first.pk)).values_list("code", flat=True))
    assert sorted(codes) == ["connection.set", "connection.unbound"]


def test_an_action_type_is_not_bound_apart_from_what_undoes_it(cast: Cast) -> None:
    found = problems_of(terms(cast, action_types=("vendor.pay",)))

    assert "vendor.reverse undoes vendor.pay: choose both or neither." in found["action_types"]


def test_an_undo_does_not_go_through_another_account_than_the_effect(
    cast: Cast, sandbox: Sandbox, second: Sandbox
) -> None:
    change = {"record": "acct_2001", "fields": {"stage": "won"}}
    request = make_request(cast.agent, change, action_type="crm.update")
    approve(request, cast.otto)
    execute(request.pk)
    elsewhere = second.connectors["records"]
    connect(
        terms(cast, name="crm-b", system="records", values=elsewhere, action_types=("crm.update",),
              credential_source="", credential_name="")
    )  # fmt: skip

    with pytest.raises(NotReversible, match="done through the connection records"):
        propose_undo(request.pk, person=cast.otto)


# --- Who changes where it leads ------------------------------------------------------------------


def test_one_ops_admin_alone_points_payments_nowhere(cast: Cast, second: Sandbox) -> None:
    row = connect(terms(cast, values=at(second), action_types=("refund.issue",)))
    ada = Actor.human(cast.ada)
    own_server = terms(cast, values={"base_url": VILLAIN}, action_types=("refund.issue",))

    change = set_connection(own_server, actor=ada, reason="it has moved, trust me")

    assert isinstance(change, AuthorityChange)
    assert refusal(lambda: agree(change.pk, actor=ada, reason="yes")) == "own_change"
    again = make_person("ada-too", "ops admin", person=cast.ada.person)
    assert refusal(lambda: agree(change.pk, actor=Actor.human(again), reason="y")) == "own_change"
    row.refresh_from_db()
    assert row.values == at(second)
    assert VILLAIN not in str(config_of("refund.issue", "payments"))
    assert probe_connection("payments-eu", actor=ada) == ""  # where it leads now, not there


@pytest.mark.parametrize(
    "changes",
    [
        {"values": {"base_url": VILLAIN}},
        {"credential_name": "CREDENTIAL_OTHER"},
        {"credential_source": "", "credential_name": ""},
        {"action_types": ()},
        {"action_types": ("refund.issue", *PAYING)},
    ],
    ids=["address", "variable", "no credential", "unbound", "more bound"],
)
def test_what_decides_where_money_goes_waits_for_a_second_person(
    cast: Cast, second: Sandbox, changes: dict[str, object]
) -> None:
    before = terms(cast, values=at(second), action_types=("refund.issue",))
    connect(before)
    now = routes()

    wanted = terms(cast, **{"values": at(second), "action_types": ("refund.issue",), **changes})
    change = set_connection(wanted, actor=Actor.human(cast.ada), reason="so")

    assert isinstance(change, AuthorityChange)
    assert routes() == now
    agree(change.pk, actor=Actor.human(cast.alan), reason="seen")
    assert routes() != now


def test_adding_and_removing_what_is_in_use_waits_too(cast: Cast) -> None:
    ada = Actor.human(cast.ada)
    adding = set_connection(terms(cast), actor=ada, reason="a second account")
    assert isinstance(adding, AuthorityChange)
    assert not Connection.objects.exists()
    row = connect(terms(cast, name="payments-us", action_types=("refund.issue",)))

    removing = remove_connection(row.pk, actor=ada, reason="closed")

    assert isinstance(removing, AuthorityChange)
    assert "refund.issue then go through the one from the environment" in removing.summary
    agree(removing.pk, actor=Actor.human(cast.alan), reason="seen")
    row.refresh_from_db()
    assert row.removed_at is not None
    assert not Binding.objects.filter(ended_at=None).exists()


def test_owner_and_budget_are_one_persons_to_set(cast: Cast) -> None:
    connect(terms(cast))
    wanted = terms(cast, owner=cast.alan.person, calls_per_minute=600)

    saved = set_connection(wanted, actor=Actor.human(cast.ada), reason="alan keeps it")

    assert isinstance(saved, Connection)
    assert (saved.owner, saved.calls_per_minute) == (cast.alan.person, 600)


def test_what_has_changed_since_it_was_asked_for_is_not_carried_out(cast: Cast) -> None:
    connect(terms(cast))
    wanted = terms(cast, values={"base_url": "http://127.0.0.1:10"})
    change = set_connection(wanted, actor=Actor.human(cast.ada), reason="moved")
    assert isinstance(change, AuthorityChange)
    connect(terms(cast, values={"base_url": "http://127.0.0.1:11"}))

    code = refusal(lambda: agree(change.pk, actor=Actor.human(cast.alan), reason="seen"))

    assert code == "connection_moved"


@pytest.mark.parametrize("role", ["manager", "auditor", "risk owner", "agent owner"])
def test_nobody_else_changes_or_probes_one(cast: Cast, role: str) -> None:
    actor = Actor.human(make_person("villain", role))
    row = connect(terms(cast))

    for work in (
        lambda: set_connection(terms(cast, name="mine"), actor=actor, reason="mine"),
        lambda: remove_connection(row.pk, actor=actor, reason="gone"),
        lambda: probe_connection(row.name, actor=actor),
    ):
        assert refusal(work) == "not_ops_admin"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "payments"}, "name"),
        ({"name": "Payments EU"}, "name"),
        ({"name": "x" * 33}, "name"),
        ({"system": "warehouse"}, "system"),
        ({"values": {}}, "base_url"),
        ({"values": {"base_url": "file:///etc/passwd"}}, "base_url"),
        ({"values": {"base_url": "https://user:secret@host"}}, "base_url"),
        ({"values": {"base_url": "https://token@host"}}, "base_url"),
        ({"values": {"base_url": "https://host?api_key=1"}}, "base_url"),
        ({"values": {"base_url": "https://" + "h" * 300}}, "base_url"),
        ({"values": {"base_url": "https://host", "api_key": "sk"}}, "api_key"),
        ({"credential_name": "AUDIT_KEY"}, "credential_name"),
        ({"credential_name": ""}, "credential_name"),
        ({"credential_source": ""}, "credential_name"),
        ({"credential_source": "file", "credential_name": "eu"}, "credential_name"),
        ({"owner": "nobody at all"}, "owner"),
        ({"calls_per_minute": 0}, "calls_per_minute"),
        ({"action_types": ("crm.update",)}, "action_types"),
    ],
)
def test_bad_terms_are_refused_by_field(cast: Cast, changes: dict[str, object], field: str) -> None:
    wanted = terms(cast, **changes)

    assert set(problems_of(wanted)) == {field}
    assert refusal(lambda: set_connection(wanted, actor=INSTALLER, reason="x")) == "bad_connection"
