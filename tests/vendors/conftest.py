"""Each vendor's double is started once and is as new for every test."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from pytest_django.fixtures import Settings

from connectors.base import Action, Connector, ConnectorError, OutcomeUnknown, Receipt
from connectors.declared.connector import DeclaredConnector
from connectors.declared.file import Operation
from tests.vendors.catalogue import Described, Subject
from tests.vendors.double import Running, Vendor, start
from tests.vendors.specifications import held_against

Starter = Callable[[Described], Running]
KEY = "0a1b2c3d" * 8


@dataclass(frozen=True)
class SignedIn:
    """A token at hand; how tokens are got is tested in tests/authentication."""

    token: str

    def sign_in(self) -> str:
        return self.token

    def renew(self, refused: str) -> str:
        raise ConnectorError("No other token.", permanent=False, code="no_token")

    def secrets(self) -> tuple[str, ...]:
        return (self.token,)


def connected(vendor: Described, url: str, credential: str) -> DeclaredConnector:
    """A connector to that double, showing this credential or token."""
    found = DeclaredConnector(vendor.file, url, credential)
    if vendor.file.card.authentication.scheme.has_tokens:
        found.use(SignedIn(credential))
    return found


def configure(vendor: Described, url: str, credential: str, settings: Settings) -> None:
    """The double as this installation's own system, with this credential, or this token at hand."""
    settings.SYSTEMS = (vendor.name,)
    card, has_tokens = vendor.file.card, vendor.file.card.authentication.scheme.has_tokens
    names = ("client_id", "private_key" if card.authentication.algorithm else "client_secret")
    of_client = json.dumps(dict.fromkeys(names, "its-own-0123456789"))
    here = {"base_url": url, "token": of_client if has_tokens else credential}
    settings.CONNECTORS = {**settings.CONNECTORS, vendor.name: here}
    if has_tokens:
        _keep(vendor, credential, settings)


def _keep(vendor: Described, token: str, settings: Settings) -> None:
    # not before Django is set up
    from connectors import registry
    from connectors.authentication.encryption import encrypt
    from connectors.authentication.login import login_of
    from connectors.connections import route_of
    from connectors.models import ConnectionToken

    registry._built.cache_clear()  # another test's token is no longer at hand
    settings.CREDENTIALS_KEY = "a key of a test, long enough to be one"
    route = route_of(vendor.file.operations[0].type.key, vendor.name)
    assert route is not None
    ConnectionToken.objects.create(
        name=route.name,
        identity=login_of(vendor.file.card, route).identity,
        access_token=encrypt(token),
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )


@dataclass
class Bench:
    """One operation, its double as new, and a connector to it."""

    subject: Subject
    double: Vendor
    url: str
    connector: Connector

    @property
    def operation(self) -> Operation:
        return self.subject.operation

    @property
    def action(self) -> Action:
        assert self.operation.example is not None
        return Action(self.operation.type.key, self.operation.example)

    def guard(self) -> str:
        return self.connector.preview(self.action).guard

    def execute(self, key: str = KEY, guard: str | None = None) -> Receipt:
        guard = self.guard() if guard is None else guard
        return self.connector.execute(self.action, idempotency_key=key, guard=guard)

    def lose_the_answer(self) -> str:
        """Execute it, the effect happens and the answer is lost; the guard it was sent with."""
        guard = self.guard()
        self.double.plan("apply_then_reset")
        with pytest.raises(OutcomeUnknown):
            self.execute(guard=guard)
        self.double.faults.clear()
        return guard


@pytest.fixture(scope="session")
def _start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    kept: dict[str, Running] = {}

    def started(vendor: Described) -> Running:
        if vendor.name not in kept:
            kept[vendor.name] = start(vendor.double, tmp_path_factory.mktemp(vendor.name))
        return kept[vendor.name]

    yield started
    for one in kept.values():
        one.stop()


@pytest.fixture
def vendor_at(_start: Starter, settings: Settings) -> Iterator[Starter]:
    """A vendor's double as new, reachable as a relay of the installation's own.

    After the test everything that was said is held against the vendor's own specification.
    """
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=3)
    used: list[Running] = []

    def at(vendor: Described) -> Running:
        found = _start(vendor)
        found.system.reset()
        settings.TRUSTED_RELAYS = [*settings.TRUSTED_RELAYS, urlsplit(found.url).netloc]
        used.append(found)
        return found

    yield at
    for one in used:
        one.system.come_to_rest()
        held_against(one.system)


@pytest.fixture
def bench(subject: Subject, vendor_at: Starter) -> Bench:
    """The operation under test, laid out."""
    found = vendor_at(subject.vendor)
    subject.case.prepared(found.system)
    found.system.heard.clear()
    connector = connected(subject.vendor, found.url, found.system.credential)
    return Bench(subject, found.system, found.url, connector)
