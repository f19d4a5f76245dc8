"""The outside systems and the people, for every test of the lifecycle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from connectors.sandbox.server import Sandbox

if TYPE_CHECKING:
    from tests.approvals.make import Cast


@pytest.fixture
def cast(sandbox: Sandbox, db: None) -> Iterator[Cast]:
    """The house, its people and an agent, with outside systems to act on.

    Whatever a story does with requests, their events' codes alone must tell their states.
    """
    from audit.models import AuditEvent  # models exist only once Django is set up
    from tests.approvals.make import make_cast
    from tests.approvals.story import assert_codes_tell_states

    yield make_cast()
    assert_codes_tell_states(AuditEvent.objects.all())
