"""The outside systems and the people, for every test of the lifecycle."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import cache
from pytest_django.fixtures import Settings

from connectors.sandbox.server import Sandbox
from tests.agents.server import Told, answering, ok

if TYPE_CHECKING:
    from approvals.models import Agent
    from tests.approvals.issuing import Issuer
    from tests.approvals.make import Cast
    from tests.worlds import Maker


@pytest.fixture
def begins_with() -> Maker:
    """The people and the agent."""
    from tests.approvals.make import make_cast  # models exist only once Django is set up

    return make_cast


@pytest.fixture
def cast(sandbox: Sandbox, begun: Any) -> Iterator[Cast]:
    """The house, its people and an agent, with outside systems to act on.

    Whatever a story does with requests, their events' codes alone must tell their states, and no
    event that is free of words holds a sentence.
    """
    from audit.models import AuditEvent  # models exist only once Django is set up
    from tests.approvals.story import assert_codes_tell_states, assert_machine_readable

    yield begun
    assert_codes_tell_states(AuditEvent.objects.all())
    assert_machine_readable(AuditEvent.objects.all())


@pytest.fixture
def coder(cast: Cast, settings: Settings) -> Agent:
    """An agent that runs commands where it is, under a policy for them."""
    from tests.approvals.agents_own import make_coder, rules_for_commands

    settings.SYSTEMS = ("workstation",)
    rules_for_commands(cast)
    return make_coder(cast)


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Told]:
    """Somebody who takes webhooks, on a host and in a network where they may be sent."""
    settings.CREDENTIALS_KEY = "a key of a test, long enough to be one"
    settings.WEBHOOK_NETWORKS = (ip_network("127.0.0.0/8"),)
    with answering(ok({})) as told:
        settings.WEBHOOK_HOSTS = [told.url.removeprefix("http://")]
        yield told


@pytest.fixture
def second(sandbox: Sandbox, tmp_path: Path) -> Iterator[Sandbox]:
    """Another company's systems beside the first one's."""
    with Sandbox(tmp_path / "second") as running:
        yield running


@pytest.fixture
def issuer(settings: Settings) -> Iterator[Issuer]:
    """One of tokens, whose keys may be fetched here and are not known yet."""
    from tests.approvals.issuing import issuing  # models exist only once Django is set up

    cache.clear()
    settings.OIDC_NETWORKS = (ip_network("127.0.0.0/8"),)
    with issuing() as running:
        settings.OIDC_HOSTS = [running.url.removeprefix("http://")]
        yield running
    cache.clear()
