"""A policy under which every action of every system is approved by a person."""

from __future__ import annotations

_RULES = """
grammar: 2
rules:
  - id: everything
    owner: head of operations
    reason: A person looks at everything.
    when: ["true"]
    effect: require_approval
    requirements: [{group: operations}]
tiers:
  - tier: 2
    reason: A soak.
    when: ["true"]
matrix:
"""
_TIER = """
  - tier: %d
    requirements: [{group: operations}]
    evidence: []
    decide_by: 1d
    execute_by: 1d
    reason_required: %s
    operating_model: in the loop
    pattern: single
"""
POLICY = _RULES + "".join(_TIER % (tier, str(tier > 2).lower()) for tier in range(6))
"""Operations approve whatever is proposed; the floor asks security beside them."""
