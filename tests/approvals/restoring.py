"""A life the database loses, the freeze that follows, and its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from approvals.models import Pause
from approvals.selectors.restores import freeze_in_force
from approvals.services.pauses import lift
from audit import outside
from audit.actors import Actor
from policies.models import User


@contextmanager
def a_life_that_is_lost() -> Iterator[None]:
    """What happens in the block is not in the backup; the outside remembers it."""
    with transaction.atomic():
        yield
        outside.remember_newest()
        transaction.set_rollback(True)


def frozen() -> Pause:
    found = freeze_in_force()
    assert found is not None
    return found


def end_freeze(person: User) -> None:
    lift(frozen().pk, actor=Actor.human(person), reason="Compared with the bank's list.")
