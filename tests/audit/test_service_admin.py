"""A configuration page saves through one service call; what the service refuses is a form error."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.urls import path, reverse
from unfold.sites import UnfoldAdminSite

import config.urls
from audit.events import AuditCode
from audit.lib.admin import ReadOnlyAdmin, ServiceAdmin
from audit.models import AuditEvent, AuditStream
from audit.services import record
from tests.audit.make import MARIA, make_chain

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class Taken(Exception):
    """The service's refusal."""


@transaction.atomic
def open_stream(name: str) -> AuditStream:
    """A service: writes first and refuses late, so that a missing rollback would show."""
    opened = AuditStream(name=name.lower())
    record(AuditCode.ROLES_SYNCED, actor=MARIA, subject=opened)
    opened.save(force_insert=True)
    return opened


class StreamAdmin(ServiceAdmin):
    fields = ("name",)
    refusals: ClassVar = (Taken,)
    sortable_by = ("name",)
    list_display = ("name", "audit_seq")

    def call_service(self, request: Any, obj: Any, form: Any, *, change: bool) -> AuditStream:
        opened = open_stream(obj.name)
        if obj.name == "Reserved":
            raise Taken("That name is reserved.")
        return opened


class Forgetful(ServiceAdmin):
    fields = ("name",)


class Closed(ReadOnlyAdmin):
    allowed_lookups = ("audit_seq__gte",)


streams, forgetful, closed = (UnfoldAdminSite(name) for name in ("streams", "forgetful", "closed"))
streams.register(AuditStream, StreamAdmin)
forgetful.register(AuditStream, Forgetful)
closed.register(AuditStream, Closed)
# The real site stays under its own name: the pages' navigation leads there.
urlpatterns = [
    *config.urls.urlpatterns,
    path("streams/", streams.urls),
    path("forgetful/", forgetful.urls),
    path("closed/", closed.urls),
]


def address(page: str, *args: str, site: str = "streams") -> str:
    return reverse(f"admin:audit_auditstream_{page}", args=args, current_app=site)


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(
        get_user_model().objects.create(username="root", is_staff=True, is_superuser=True)
    )
    return client


def test_a_save_is_the_service_s(root: Client) -> None:
    answer = root.post(address("add"), {"name": "Roles"})

    assert answer.status_code == 302
    assert [stream.name for stream in AuditStream.objects.all()] == ["roles"]
    assert AuditEvent.objects.count() == 1


def test_a_refusal_is_shown_in_the_form_and_leaves_nothing_behind(root: Client) -> None:
    answer = root.post(address("add"), {"name": "Reserved"})

    assert answer.status_code == 200
    assert "That name is reserved." in answer.content.decode()
    assert 'value="Reserved"' in answer.content.decode()
    assert not AuditStream.objects.exists()
    assert not AuditEvent.objects.exists()


def test_any_other_error_stays_an_error(root: Client) -> None:
    with pytest.raises(NotImplementedError, match="Forgetful"):
        root.post(address("add", site="forgetful"), {"name": "x"})


def test_nothing_is_deleted_here_either(root: Client) -> None:
    make_chain("roles")

    answer = root.post(address("delete", "roles"), {"post": "yes"})
    root.post(
        address("changelist"),
        {"action": "delete_selected", "_selected_action": "roles", "post": "yes"},
    )

    assert answer.status_code == 403
    assert AuditStream.objects.count() == 1


def test_only_named_columns_sort(root: Client) -> None:
    for name, length in (("a", 2), ("b", 3), ("c", 1)):
        make_chain(name, length)

    def order(query: str) -> list[str]:
        page = root.get(address("changelist") + query)
        return [stream.name for stream in page.context["cl"].result_list]

    assert order("") == order("?o=1") == order("?o=-1") == order("?o=0.1") == ["c", "b", "a"]
    assert order("?o=0") == ["a", "b", "c"]


def test_an_allowed_lookup_works_and_its_neighbours_do_not(root: Client) -> None:
    make_chain("roles", 2)
    page = address("changelist", site="closed")

    assert root.get(f"{page}?audit_seq__gte=2").context["cl"].result_count == 1
    assert root.get(f"{page}?audit_seq__lte=2").status_code == 400
    assert root.get(f"{page}?audit_seq=2").status_code == 400
