"""One event held against its MAC, for what must not be done on the word of rows alone.

Whoever writes into the database can make rows agree with each other, and has no key to sign an
event with. Whether the chain around the event is whole, `audit.verify` finds out.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import OuterRef, QuerySet, Subquery

from audit import chain
from audit.events import AuditCode
from audit.lib.prepared import Given, Prepared
from audit.models import AuditEvent, Chained
from audit.selectors import events_about


class Signed(NamedTuple):
    """One event with all that its MAC covers."""

    previous: str | None
    """The MAC of the event before it; None for the first."""
    subject_type: str
    subject_id: str
    seq: int
    code: str
    actor_kind: str
    actor_id: str
    actor_name: str
    at: datetime
    state: str
    data: str
    key_id: str
    mac: str

    @property
    def is_genuine(self) -> bool:
        """Whether it was signed as it is, with a key of this deployment."""
        key = chain.keyring().keys.get(self.key_id)
        if key is None:
            return False
        covered = chain.message(
            self.previous or chain.GENESIS,
            self.subject_type,
            self.subject_id,
            self.seq,
            self.code,
            self.actor_kind,
            self.actor_id,
            self.actor_name,
            chain.moment(self.at),
            self.state,
            self.data,
        )
        return hmac.compare_digest(chain.mac(key, covered), self.mac)


def newest_signed(kind: type[Chained], code: AuditCode) -> Prepared[tuple[Any, ...]]:
    """The newest event of that code about the record `subject`, as the values of a `Signed`."""

    def build() -> QuerySet[Any, tuple[Any, ...]]:
        before = AuditEvent.objects.filter(
            subject_type=OuterRef("subject_type"),
            subject_id=OuterRef("subject_id"),
            seq=OuterRef("seq") - 1,
        )
        return (
            events_about(kind, Given("subject"))
            .filter(code=code.value)
            .annotate(previous=Subquery(before.values("mac")[:1]))
            .order_by("-seq")
            .values_list(*Signed._fields)[:1]
        )

    return Prepared(build)
