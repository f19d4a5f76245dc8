"""Who may configure here: asked of `policies.authority`, so the superuser flag opens nothing."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest

from audit.actors import Actor
from policies.authority import may_configure, may_write_policy
from policies.models import User


def person_at(request: HttpRequest) -> User:
    """The signed-in account; admin pages have no other visitors."""
    return cast(User, request.user)


def actor_at(request: HttpRequest) -> Actor:
    """The signed-in person, as services want them."""
    return Actor.human(person_at(request))


def configures(request: HttpRequest) -> bool:
    """Whether this person may configure; asked of the database once per page, the theme asks often.

    The services ask again, under their locks.
    """
    known: bool | None = getattr(request, "_countersign_configures", None)
    if known is None:
        known = request.user.is_authenticated and may_configure(actor_at(request)) is None
        request._countersign_configures = known  # type: ignore[attr-defined]
    return known


def writes_policy(request: HttpRequest, *, floor: bool = False) -> bool:
    """Whether this person may draft, replay and publish policy, or its floor; asked once a page."""
    name = f"_countersign_writes_{'floor' if floor else 'policy'}"
    known: bool | None = getattr(request, name, None)
    if known is None:
        known = request.user.is_authenticated and (
            may_write_policy(actor_at(request), floor=floor) is None
        )
        setattr(request, name, known)
    return known
