"""Ready means: database, migrations, policy, in this order, and which one is missing."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from audit.actors import Actor
from config.probes import warm_up
from policies.services.versions import install_default
from tests.database import as_superuser


def test_a_live_process_says_so_without_the_database(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.post("/healthz").status_code == 405


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["10.1.2.3", "10.1.2.3:8000", "[fd00::1]", "a name that is none"])
def test_probes_answer_by_address_and_nothing_else_does(
    client: Client, settings: Settings, host: str
) -> None:
    cache.clear()
    install_default(actor=Actor.system("tests"))
    settings.SECURE_SSL_REDIRECT = True

    assert client.get("/healthz", headers={"Host": host}).status_code == 200
    assert client.get("/readyz", headers={"Host": host}).status_code == 200
    for path in ("/", "/admin/login/", "/api/v1/actions/", "/readyz/", "/healthz/x"):
        assert client.get(path, headers={"Host": host}).status_code == 400


@pytest.mark.django_db
def test_without_a_published_policy_it_is_not_ready(client: Client) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["part"] == "policy"


@pytest.mark.django_db
def test_a_process_reads_what_its_first_probe_would_wait_for() -> None:
    cache.clear()

    warm_up()  # without a policy, which is the probe's to say
    assert cache.get("problems") is None
    install_default(actor=Actor.system("tests"))
    warm_up()

    assert cache.get("problems") is not None


@pytest.mark.django_db
def test_a_complete_installation_is_ready_and_shows_its_posture(client: Client) -> None:
    cache.clear()
    version = install_default(actor=Actor.system("tests"))

    answer = client.get("/readyz")

    assert version is not None
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert answer.json()["policy"] == {"version": version.label}
    assert answer.json()["oldest_pending"] == {}
    assert answer.json()["paused_agents"] == 0
    assert answer.json()["pauses"] == {
        "everything": False,
        "restored": False,
        "action_types": 0,
        "connectors": 0,
    }


@pytest.mark.django_db
def test_a_waiting_migration_is_named(client: Client) -> None:
    with as_superuser(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'audit'")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["part"] == "migrations"


def test_a_database_that_does_not_answer_is_named(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    def refuse() -> None:
        raise OperationalError

    monkeypatch.setattr(connection, "ensure_connection", refuse)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["part"] == "database"
    assert answer["Retry-After"] == "5"
