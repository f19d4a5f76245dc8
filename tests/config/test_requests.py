"""What every request passes on its way in and out."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.http import HttpRequest
from django.test import Client, override_settings
from django.urls import path

from config.problems import bad_request, not_found, permission_denied, server_error
from policies.models import User

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


def _out_of_order(request: HttpRequest) -> None:
    from django.db import OperationalError

    raise OperationalError("the server closed the connection")


def _broken(request: HttpRequest) -> None:
    raise RuntimeError("password=hunter2")


urlpatterns = [
    path("page", _out_of_order),
    path("api/v1/page/", _out_of_order),
    path("broken", _broken),
    path("api/v1/broken/", _broken),
]
handler400, handler403 = bad_request, permission_denied
handler404, handler500 = not_found, server_error


def _person(*permissions: str, is_staff: bool = True) -> User:
    user = User.objects.create_user("renate", password="long enough to be good", is_staff=is_staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def test_a_sane_request_id_is_echoed_and_another_is_replaced(client: Client) -> None:
    kept = client.get("/healthz", headers={"X-Request-Id": "trace-1.2:3"})
    replaced = client.get("/healthz", headers={"X-Request-Id": 'x" onload="y'})

    assert kept["X-Request-Id"] == "trace-1.2:3"
    assert len(replaced["X-Request-Id"]) == 32


@pytest.mark.parametrize("address", ["/healthz", "/nowhere", "/api/v1/nowhere"])
def test_every_answer_carries_the_content_policy(client: Client, address: str) -> None:
    policy = client.get(address)["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/admin/login/?next=%00", "/admin/%00/", "/api/v1/?q=%00"])
def test_nul_in_an_address_is_400(client: Client, address: str) -> None:
    assert client.get(address).status_code == 400


@pytest.mark.django_db
def test_nul_in_a_form_or_cookie_is_400(client: Client) -> None:
    form = client.post("/admin/login/", {"username": "a\0b", "password": "x"})
    client.cookies.load(f'{settings.SESSION_COOKIE_NAME}="abcdefgh\\000ijkl"')
    cookie = client.get("/admin/")

    assert form.status_code == 400
    assert cookie.status_code == 400


def test_what_the_api_does_not_know_is_a_problem_document(client: Client) -> None:
    answer = client.get("/api/v1/nowhere/")

    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


def test_what_nobody_knows_is_a_plain_page(client: Client) -> None:
    answer = client.get("/nowhere")

    assert answer.status_code == 404
    assert "Nothing here" in answer.content.decode()


@override_settings(ROOT_URLCONF="tests.config.test_requests")
def test_a_database_outage_is_503_and_never_500(client: Client) -> None:
    page, api = client.get("/page"), client.get("/api/v1/page")

    assert (page.status_code, api.status_code) == (503, 503)
    assert page["Retry-After"] == api["Retry-After"] == "5"
    assert api.json()["code"] == "unavailable"
    assert "closed the connection" not in page.content.decode() + api.content.decode()


@override_settings(ROOT_URLCONF="tests.config.test_requests")
def test_a_bug_is_a_500_that_tells_nothing(client: Client) -> None:
    client.raise_request_exception = False

    page, api = client.get("/broken"), client.get("/api/v1/broken")

    assert (page.status_code, api.status_code) == (500, 500)
    assert api.json()["code"] == "internal_error"
    assert "hunter2" not in page.content.decode() + api.content.decode()


def test_strangers_are_asked_to_sign_in(client: Client) -> None:
    answer = client.get("/admin/audit/auditevent/")

    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/?next=")


@pytest.mark.django_db
def test_staff_without_permission_get_403_and_no_second_sign_in(client: Client) -> None:
    client.force_login(_person())

    assert client.get("/admin/").status_code == 200
    assert client.get("/admin/audit/auditevent/").status_code == 403


@pytest.mark.django_db
def test_an_account_that_may_not_be_here_is_told_so(client: Client) -> None:
    client.force_login(_person(is_staff=False))

    answer = client.get("/admin/", follow=True)

    assert answer.status_code == 403
    assert "This page is not for you" in answer.content.decode()


@pytest.mark.django_db
def test_the_sidebar_links_to_what_its_reader_may_see_and_no_further(client: Client) -> None:
    client.force_login(_person("view_auditevent"))

    page = client.get("/admin/").content.decode()

    assert "/admin/audit/auditevent/" in page
    rooms = set(re.findall(r'href="(/admin/(?:policies|approvals)/\w+/)', page))
    assert rooms == {"/admin/policies/absence/"}  # everybody may say when they are away
