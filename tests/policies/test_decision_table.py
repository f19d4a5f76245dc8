"""The decision table: the pure evaluation agrees with the product's own words on every row."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from audit.lib.money import Money
from policies.authority_rules import Authority, Case, Decider, DelegatedAuthority, Limit, authorise
from policies.verdicts import RequirementSpec
from tests.policies.decision_table import CAPPED, LIMIT, OWN_HANDS, Row, may, rows

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MANAGERS = RequirementSpec("manager", within_limit=True)


def evaluated(row: Row) -> bool:
    involved = {}
    if row.relation in OWN_HANDS and row.relation != "already decided":
        involved["alice"] = row.relation
    if row.relation == "delegator involved":
        involved["max"] = "owner"
    case = Case(
        action_type="refund.issue",
        amount=None if row.minor is None else Money(row.minor, "EUR"),
        tier=row.tier,
        involved=involved,
        decided=frozenset({"alice"} if row.relation == "already decided" else ()),
        at=AT,
    )
    answer = authorise(
        Decider("alice", row.active, frozenset(row.groups)),
        [Limit(1, "", "*", "EUR", LIMIT, None)],
        case,
        MANAGERS,
        spent_today=0,
        delegated=delegated(row),
    )
    if isinstance(answer, Authority):
        assert answer.group == "manager"
        assert answer.limit_minor is None or answer.limit_minor >= (row.minor or 0)
        return True
    assert answer.code
    assert answer.message.endswith(".")
    return False


def delegated(row: Row) -> list[DelegatedAuthority]:
    if row.delegation == "none":
        return []
    valid = DelegatedAuthority(
        id=7,
        lender=Decider("max", True, frozenset({"manager"})),
        limits=(Limit(2, "", "*", "EUR", LIMIT, None),),
        starts_at=AT - HOUR,
        ends_at=AT + HOUR,
    )
    return [
        {
            "valid": valid,
            "expired": replace(valid, starts_at=AT - 2 * HOUR, ends_at=AT),
            "revoked": replace(valid, revoked=True),
            "wrong scope": replace(valid, action_type="vendor.*"),
            "capped below": replace(valid, cap=Money(CAPPED, "EUR")),
            "delegator over limit": replace(valid, limits=(Limit(2, "", "*", "EUR", 1, None),)),
        }[row.delegation]
    ]


def test_the_judgement_agrees_on_every_row() -> None:
    # the flag of a superuser is nothing the evaluation could even look at
    table = [row for row in rows() if not row.superuser]
    wrong = [row for row in table if evaluated(row) != may(row)]

    assert wrong[:5] == []
    assert len(table) == 26_880
    # yes is common enough that agreeing means something
    assert sum(may(row) for row in table) == 462
