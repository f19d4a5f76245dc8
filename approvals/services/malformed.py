"""Refusing a message whose shape is wrong, with whatever else can be said of it already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from approvals.domain.proposal_check import in_order_sent, problems_with
from approvals.exceptions import FieldProblem, InvalidProposal, MalformedProposal
from approvals.models import Agent
from approvals.proposal import ReadableParts
from audit.lib.canonical import JsonObject


def refuse_malformed(
    problems: Sequence[FieldProblem], parts: ReadableParts, *, body: JsonObject, agent: Agent
) -> NoReturn:
    """Raise what says every bad field at once, in the order they were sent. Stores nothing.

    `problems` are those of shape. MalformedProposal where the rest is as it should be as far as
    anybody can tell, InvalidProposal where it is not.
    """
    further = problems_with(parts, agent=agent)
    if further:
        raise InvalidProposal(in_order_sent([*problems, *further], body))
    raise MalformedProposal(in_order_sent(problems, body))
