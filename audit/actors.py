"""Who did it: the one value every service takes and every event carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from django.db import models


class ActorKind(models.TextChoices):
    """What sort of thing acted."""

    HUMAN = "human", "person"
    AGENT = "agent", "agent"
    SYSTEM = "system", "system"


class _Person(Protocol):
    @property
    def pk(self) -> object: ...

    def get_username(self) -> str: ...


class _Agent(Protocol):
    @property
    def pk(self) -> object: ...

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, an agent or a part of the system. The name is kept: events outlive accounts."""

    kind: ActorKind
    id: str
    name: str

    @classmethod
    def human(cls, user: _Person) -> Actor:
        return cls(ActorKind.HUMAN, str(user.pk), user.get_username())

    @classmethod
    def agent(cls, agent: _Agent) -> Actor:
        return cls(ActorKind.AGENT, str(agent.pk), agent.name)

    @classmethod
    def system(cls, part: str) -> Actor:
        """`part` names the piece of Countersign that acted: "policy", "executor", "sweeper"."""
        return cls(ActorKind.SYSTEM, part, part)

    def __str__(self) -> str:
        return f"{self.kind.label} {self.name}"
