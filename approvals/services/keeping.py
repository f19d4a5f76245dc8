"""Who keeps an agent, and who may let it do more: asked by every service that changes one."""

from __future__ import annotations

from approvals.exceptions import NotAuthorised
from audit.actors import Actor, ActorKind
from policies.authority import may_configure, may_keep_agents_of
from policies.models import User


def demand_keeper(actor: Actor, *owner_ids: int) -> None:
    """Raises NotAuthorised unless the actor may keep the agents of these owners."""
    refusal = may_keep_agents_of(actor, *owner_ids)
    if refusal is not None:
        raise NotAuthorised(refusal.message, code=refusal.code)


def demand_admin(actor: Actor, sentence: str) -> None:
    """Raises NotAuthorised with the sentence unless the actor configures."""
    if may_configure(actor) is not None:
        raise NotAuthorised(sentence, code="not_ops_admin")


def demand_other_admin(actor: Actor, sentence: str, *owners: User) -> None:
    """An ops admin, and none of the owners: nobody lets their own agent do more.

    The person counts, not the account. Raises NotAuthorised.
    """
    demand_admin(actor, sentence)
    if is_one_of(actor, *owners):
        raise NotAuthorised(
            "You own this agent: another ops admin lets it do more.", code="own_agent"
        )


def is_one_of(actor: Actor, *owners: User) -> bool:
    """Whether the actor is one of these people, with whichever account."""
    if actor.kind != ActorKind.HUMAN:
        return False
    person = User.objects.values_list("person", flat=True).get(pk=actor.id)
    return person in {owner.person for owner in owners}
