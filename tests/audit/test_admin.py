"""The trail on screen is read-only for everybody, and its addresses give nothing away."""

from __future__ import annotations

import csv
import io

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audit import admin as audit_admin
from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib.admin import MOST_ROWS_COUNTED, CappedPaginator
from audit.models import AuditEvent, AuditStream
from audit.services import record, stream
from tests.audit.make import make_chain

pytestmark = pytest.mark.django_db

LIST = "admin:audit_auditevent_changelist"


def make_user(name: str, *, may_view: bool = True, superuser: bool = False) -> Client:
    """A signed-in member of staff, allowed to look at the trail or not."""
    user = get_user_model().objects.create(username=name, is_staff=True, is_superuser=superuser)
    if may_view:
        user.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def addresses(event: AuditEvent) -> dict[str, str]:
    return {
        "list": reverse(LIST),
        "add": reverse("admin:audit_auditevent_add"),
        "change": reverse("admin:audit_auditevent_change", args=[event.pk]),
        "delete": reverse("admin:audit_auditevent_delete", args=[event.pk]),
        "history": reverse("admin:audit_auditevent_history", args=[event.pk]),
    }


def test_an_auditor_reads_the_list_and_an_event() -> None:
    event = make_chain("roles")[1]
    auditor = make_user("auditor")

    page = auditor.get(reverse(LIST))
    detail = auditor.get(addresses(event)["change"])

    assert page.status_code == detail.status_code == 200
    assert "synchronised roles: roles 1" in page.content.decode()
    assert event.mac in detail.content.decode()
    assert make_chain("other", 1)[0].mac not in detail.content.decode()
    assert AuditEvent.objects.get(subject_id="roles", seq=1).mac in detail.content.decode()


def exported(client: Client, query: str = "") -> list[list[str]]:
    answer = client.get(reverse("admin:audit_auditevent_export") + query)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_the_list_is_exported_as_filtered_the_sentence_first_and_the_code_last() -> None:
    make_chain("roles")
    make_chain("other", 1)

    lines = exported(make_user("auditor"), "?subject_id=roles")

    assert lines[0][0] == "what happened"
    assert lines[0][-1] == "code"
    assert len(lines) == 1 + AuditEvent.objects.filter(subject_id="roles").count()
    assert "synchronised roles" in lines[1][0]
    assert {line[4] for line in lines[1:]} == {"roles"}
    assert lines[1][-1] == "roles.synced"


def test_nothing_in_an_export_is_a_formula() -> None:
    villain = Actor(ActorKind.AGENT, "=1+1", "=HYPERLINK(0)")
    record(AuditCode.ROLES_SYNCED, actor=villain, subject=stream("x"), data={"changes": "@x"})

    lines = exported(make_user("auditor"))

    assert not [cell for line in lines for cell in line if cell.startswith(("=", "+", "-", "@"))]


def test_an_export_ends_somewhere_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    make_chain("roles", 4)
    monkeypatch.setattr(audit_admin, "MOST_EXPORTED", 3)

    lines = exported(make_user("auditor"))

    assert len(lines) == 1 + 3 + 1
    assert lines[-1][0].startswith("Not more than 3 lines")


def test_an_export_is_for_readers_of_the_trail_and_answers_no_other_filters() -> None:
    address = reverse("admin:audit_auditevent_export")

    assert make_user("stranger", may_view=False).get(address).status_code == 403
    assert make_user("auditor").post(address).status_code == 405
    assert make_user("patient").get(address + "?data__startswith=x").status_code == 400


def test_what_an_event_says_is_escaped() -> None:
    villain = Actor(ActorKind.AGENT, "<b>1", "<script>alert(1)</script>")
    event = record(
        AuditCode.ROLES_SYNCED, actor=villain, subject=stream("<i>"),
        data={"changes": "</pre><img src=x onerror=alert(1)>"},
    )  # fmt: skip
    auditor = make_user("auditor")

    for address in (reverse(LIST), addresses(event)["change"]):
        html = auditor.get(address).content.decode()
        assert "<script>alert(1)" not in html
        assert "<img src=x" not in html
        assert "&lt;i&gt;" in html


@pytest.mark.parametrize("superuser", [False, True])
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("page", ["list", "add", "change", "delete", "history"])
def test_nobody_changes_anything(page: str, method: str, *, superuser: bool) -> None:
    event = make_chain("roles")[0]
    before = list(AuditEvent.objects.values())
    villain = make_user("villain", superuser=superuser)
    forged = {"action": "delete_selected", "_selected_action": event.pk, "post": "yes",
              "code": "request.approved", "_save": "Save"}  # fmt: skip

    answer = getattr(villain, method)(addresses(event)[page], forged)

    assert answer.status_code == 405
    assert list(AuditEvent.objects.values()) == before


@pytest.mark.parametrize(
    ("page", "status"), [("add", 403), ("delete", 403), ("history", 404), ("change", 200)]
)
def test_a_superuser_gets_no_other_page(page: str, status: int) -> None:
    event = make_chain("roles")[0]

    assert make_user("root", superuser=True).get(addresses(event)[page]).status_code == status


@pytest.mark.parametrize("page", ["list", "add", "change", "delete"])
def test_whoever_may_not_view_the_trail_sees_nothing(page: str) -> None:
    event = make_chain("roles")[0]

    assert make_user("bob", may_view=False).get(addresses(event)[page]).status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        "data__startswith=%7B", "data__regex=(a%2B)%2B%24", "mac__startswith=0", "actor_name=maria",
        "actor_name__icontains=a", "code__in=request.approved", "id__gt=1", "at__year=2026",
        "subject_id__regex=.*", "state=approved", "seq=1", "nothing=1", "actor_id__startswith=1",
    ],
)  # fmt: skip
def test_a_lookup_that_is_no_filter_is_refused(query: str) -> None:
    make_chain("roles")

    assert make_user("auditor").get(f"{reverse(LIST)}?{query}").status_code == 400


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("actor_kind=system", 6), ("actor_kind=human", 0), ("actor_id=maria", 6), ("actor_id=m", 0),
        ("subject_type=audit.auditstream", 6), ("subject_id=roles", 4), ("subject_id=+other+", 2),
        ("code=roles.synced", 6), ("code=request.approved", 0), ("since=2020-01-01", 6),
        ("until=2020-01-01", 0), ("since=2999-01-01T00:00", 0), ("until=2999-01-01T00:00Z", 6),
        ("since=yesterday", 0), ("since=2026-13-45", 0), ("until=9999-12-31", 0), ("since=", 6),
        ("q=roles", 4), ("q=mar", 6), ("q=aria", 0), ("q=", 6),
        ("subject_id=roles&code=roles.synced", 4),
    ],
)  # fmt: skip
def test_filters_and_search_show_what_they_say(query: str, seen: int) -> None:
    make_chain("roles", 4)
    make_chain("other", 2)

    page = make_user("auditor").get(f"{reverse(LIST)}?{query}")

    assert page.status_code == 200
    assert page.context["cl"].result_count == seen


def test_the_newest_comes_first_whatever_the_address_asks() -> None:
    make_chain("roles", 3)
    auditor = make_user("auditor")

    for order in ("", "?o=1", "?o=-4.2", "?o=99", "?o=x", "?o=²"):
        page = auditor.get(reverse(LIST) + order)
        assert [event.seq for event in page.context["cl"].result_list] == [3, 2, 1], order


def test_a_page_holds_25_and_all_is_not_on_offer() -> None:
    make_chain("roles", 30)

    page = make_user("auditor").get(f"{reverse(LIST)}?all=")

    assert len(page.context["cl"].result_list) == 25


def test_the_list_never_counts_or_collects_the_whole_table() -> None:
    make_chain("roles", 30)
    auditor = make_user("auditor")

    with CaptureQueriesContext(
        connection,
    ) as queries:
        auditor.get(reverse(LIST))

    of_events = [q["sql"] for q in queries if "audit_auditevent" in q["sql"]]
    assert of_events
    assert all("LIMIT" in sql for sql in of_events)
    assert not any("DISTINCT" in sql for sql in of_events)


def test_counting_stops_at_the_cap() -> None:
    for number in range(3):
        make_chain(f"chain {number}", 400)

    assert CappedPaginator(AuditEvent.objects.order_by("-id"), 25).count == MOST_ROWS_COUNTED
    assert CappedPaginator(AuditEvent.objects.filter(seq=1), 25).count == 3
    assert CappedPaginator(list(range(5)), 25).count == 5


def test_damaged_data_still_shows() -> None:
    AuditStream.objects.create(name="x")
    event = AuditEvent.objects.create(
        subject_type="audit.auditstream", subject_id="x", seq=1, code="roles.synced",
        actor_kind="system", actor_id="x", actor_name="x", at="2026-01-01T00:00Z", data="{broken",
        key_id="k", mac="m",
    )  # fmt: skip

    page = make_user("auditor").get(addresses(event)["change"])

    assert page.status_code == 200
    assert "{broken" in page.content.decode()
    assert "none, it is first" in page.content.decode()
