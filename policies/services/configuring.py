"""Who may change roles, limits, people and policies: asked first by every service that does."""

from __future__ import annotations

from audit.actors import Actor, ActorKind
from policies.authority import may_configure
from policies.exceptions import PolicyError
from policies.models import User


def check_may_configure(actor: Actor) -> None:
    """Raises PolicyError when the actor may not configure."""
    refusal = may_configure(actor)
    if refusal:
        raise PolicyError(refusal.code, refusal.message)


def person_of(actor: Actor) -> str:
    """The natural person acting; empty for agents and the system."""
    if actor.kind != ActorKind.HUMAN:
        return ""
    return User.objects.values_list("person", flat=True).get(pk=actor.id)
