"""The page of connections: how each stands, what waits for a second person, never a secret."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.urls import reverse
from pytest_django.fixtures import Settings

from approvals.models import Pause
from approvals.services import watching
from audit.actors import Actor
from audit.models import AuditEvent
from connectors.circuit import FAILURES, count_failure, let_rest
from connectors.models import Connection
from connectors.sandbox.server import Sandbox
from policies.admin.changes import change_url
from policies.models import AuthorityChange
from policies.services.dual_control import agree
from tests.admin.visit import said, visit
from tests.approvals.make import Cast, make_cast, make_person
from tests.connections import connect, terms

pytestmark = pytest.mark.django_db

ADD = "admin:connectors_connection_add"
LIST = "admin:connectors_connection_changelist"
SECRET = "sk_live_nobody_sees_this"


@pytest.fixture
def cast(sandbox: Sandbox, tmp_path: Path, settings: Settings) -> Cast:
    settings.CREDENTIALS_DIR = str(tmp_path)
    (tmp_path / "eu").write_text(SECRET)
    cache.clear()
    return make_cast()


def form(cast: Cast, **changes: Any) -> dict[str, Any]:
    return {
        "name": "payments-eu", "system": "payments", "address": "http://127.0.0.1:9",
        "credential_source": "file", "credential_name": "eu", "answers": cast.ada.pk,
        "kinds": ["refund.issue"], "reason": "a second account", **changes,
    }  # fmt: skip


def page_of(row: Connection, action: str = "change") -> str:
    return reverse(f"admin:connectors_connection_{action}", args=[row.pk])


def test_a_connection_is_asked_for_on_the_page_and_there_once_a_colleague_agrees(
    cast: Cast,
) -> None:
    ada, alan = visit(cast.ada), visit(cast.alan)

    answer = ada.post(reverse(ADD), form(cast))

    change = AuthorityChange.objects.get()
    assert answer.headers["Location"] == change_url(change)
    assert not Connection.objects.exists()
    assert "Add the connection payments-eu of payments at http://127.0.0.1:9" in said(
        alan.get(change_url(change))
    )
    alan.post(reverse("admin:policies_authoritychange_agree", args=[change.pk]), {"reason": "ok"})
    row = Connection.objects.get()
    shown = said(ada.get(page_of(row)))
    for expected in ("payments-eu", "http://127.0.0.1:9", "file", "not tried yet", "closed"):
        assert expected in shown


def test_the_list_shows_the_environments_connections_which_nobody_edits(
    cast: Cast, sandbox: Sandbox
) -> None:
    shown = said(visit(cast.ada).get(reverse(LIST)))

    assert "From the environment" in shown
    assert sandbox.addresses["payments"] in shown
    assert "variable PAYMENTS_API_KEY" in shown
    for secret in ("sk_test_sandbox", "directory-sandbox"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"credential_name": "../eu"}, "no path"),
        ({"credential_name": "/etc/passwd"}, "no path"),
        ({"credential_source": "environment", "credential_name": "AUDIT_KEY"}, "CREDENTIAL_"),
        ({"address": "https://u:p@host"}, "Leave the password out"),
        ({"address": "gopher://host"}, "must begin with"),
        ({"name": "payments"}, "not the name of a system"),
        ({"answers": ""}, "This field is required"),
        ({"kinds": ["vendor.pay"]}, "choose both or neither"),
        ({"reason": ""}, "This field is required"),
        ({"calls_per_minute": "0"}, "greater than or equal to 1"),
    ],
)  # fmt: skip
def test_bad_input_is_named_beside_its_field(
    cast: Cast, changes: dict[str, Any], sentence: str
) -> None:
    answer = visit(cast.ada).post(reverse(ADD), form(cast, **changes))

    assert answer.status_code == 200
    assert sentence in said(answer)
    assert not AuthorityChange.objects.exists()


def test_the_villain_points_payments_at_a_server_of_their_own_and_nothing_changes(
    cast: Cast,
) -> None:
    row = connect(
        terms(cast, credential_source="file", credential_name="eu", action_types=("refund.issue",))
    )
    ada = visit(cast.ada)

    answer = ada.post(page_of(row), form(cast, address="http://127.0.0.1:6666"))
    change = AuthorityChange.objects.get()
    agreeing = ada.post(
        reverse("admin:policies_authoritychange_agree", args=[change.pk]), {"reason": "me too"}
    )

    row.refresh_from_db()
    assert answer.headers["Location"] == change_url(change)
    assert "from http://127.0.0.1:9 to http://127.0.0.1:6666" in change.summary
    assert agreeing.status_code in {302, 403}
    assert row.values == {"base_url": "http://127.0.0.1:9"}


@pytest.mark.parametrize("role", ["auditor", "manager", "finance", "risk owner"])
def test_who_does_not_configure_does_not_change_it(cast: Cast, role: str) -> None:
    row = connect(terms(cast))
    other = visit(make_person("villain", role))

    assert other.post(page_of(row), form(cast)).status_code == 403
    assert other.get(reverse(ADD)).status_code == 403
    for action in ("probe", "pause", "remove"):
        assert other.post(page_of(row, action), {"reason": "x"}).status_code in {403, 404}
    assert other.get(reverse(LIST)).status_code == (200 if role == "auditor" else 403)


def test_a_probe_says_what_came_of_it_with_its_date(cast: Cast, sandbox: Sandbox) -> None:
    up = connect(terms(cast, values={"base_url": sandbox.addresses["payments"]},
                       credential_source="file", credential_name="eu"))  # fmt: skip
    down = connect(terms(cast, name="payments-us", credential_source="file", credential_name="eu"))
    ada = visit(cast.ada)

    answers = said(ada.post(page_of(up, "probe"), follow=True))
    silent = said(ada.post(page_of(down, "probe"), follow=True))

    assert "payments-eu answers." in answers
    assert "It does not answer (ConnectError)." in silent
    assert "does not answer" in said(ada.get(reverse(LIST)))


def test_what_asked_to_be_left_alone_is_said_with_its_end(cast: Cast) -> None:
    row = connect(terms(cast, credential_source="file", credential_name="eu"))
    let_rest(row.name, timedelta(minutes=5))
    ada = visit(cast.ada)

    assert "asked to wait" in said(ada.get(reverse(LIST)))
    assert "asked to be left alone" in said(ada.get(page_of(row)))


def test_pausing_and_removing_are_actions_of_its_page(cast: Cast) -> None:
    row = connect(terms(cast))
    ada = visit(cast.ada)

    ada.post(page_of(row, "pause"), {"reason": "odd answers"})
    paused = said(ada.get(page_of(row)))
    ada.post(page_of(row, "remove"), {"reason": "closed"})

    assert str(Pause.objects.get()) == "connection payments-eu"
    assert "It is paused" in paused
    row.refresh_from_db()
    assert row.removed_at is not None
    assert "removed" in said(ada.get(reverse(LIST)))
    assert ada.post(page_of(row), form(cast)).status_code == 403


def test_what_does_not_answer_or_is_left_alone_is_said_on_today(
    cast: Cast, sandbox: Sandbox
) -> None:
    connect(terms(cast, credential_source="file", credential_name="eu"))
    watching.watch()
    for _ in range(FAILURES):
        count_failure("payments")
    cache.clear()

    ada = said(visit(cast.ada).get(reverse("admin:index")))
    fred = said(visit(cast.fred).get(reverse("admin:index")))

    assert "The connection payments-eu does not answer" in ada
    assert "The system payments is left alone for now: 5 calls in a row failed." in ada
    assert "payments-eu" not in fred


def test_the_secret_is_on_no_page_in_no_event_and_in_no_log(
    cast: Cast, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ada = visit(cast.ada)
    ada.post(reverse(ADD), form(cast, address=sandbox.addresses["payments"]))
    change = AuthorityChange.objects.get()
    agree(change.pk, actor=Actor.human(cast.alan), reason="seen")
    row = Connection.objects.get()

    pages = [
        said(ada.post(page_of(row, "probe"), follow=True)),
        said(ada.get(page_of(row))),
        said(ada.get(reverse(LIST))),
        said(ada.get(change_url(change))),
        said(ada.get(reverse("admin:index"))),
    ]
    watching.watch()

    kept = [*AuditEvent.objects.values_list("data", flat=True), change.payload, str(vars(row))]
    for text in (*pages, *kept, caplog.text):
        assert SECRET not in text
