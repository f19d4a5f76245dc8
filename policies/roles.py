"""The roles as data: what each is for, whether it decides, and what its members may see.

A role is a Django group. Its permissions open screens; they never answer "may this person decide?"
(`policies.authority` does). A codename may end in `*`; naming a permission that does not exist
stops `sync_roles`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

_RECORDS = tuple(
    f"approvals.view_{model}"
    for model in (
        "actionrequest",
        "evidenceitem",
        "policydecision",
        "requirement",
        "decision",
        "grant",
        "execution",
        "attempt",
        "verification",
        "compensation",
        "escalation",
        "breakglass",
        "agent",
        "firedtrigger",
        "complaint",
    )
)
"""Each page shows its reader their own requests' rows only: see approvals.selectors.visibility."""


@dataclass(frozen=True, slots=True)
class Role:
    """One role. `decides` marks the groups a requirement may name."""

    name: str
    description: str
    permissions: tuple[str, ...]
    decides: bool = False
    answers_to: str = ""
    """The role above: where a requirement climbs when nobody's limit covers the amount."""


def _reviewer(name: str, description: str, answers_to: str = "manager") -> Role:
    return Role(name, description, _RECORDS, decides=True, answers_to=answers_to)


def role_of(team: str) -> Role:
    """The role of a team that a company made: its members see what every team does."""
    return _reviewer(team, "A team of this company.")


def _with(role: Role, *permissions: str) -> Role:
    return replace(role, permissions=(*role.permissions, *permissions))


ROLES: tuple[Role, ...] = (
    _reviewer("finance", "Decides refunds, credits and payments within its limit."),
    _with(
        _reviewer(
            "security", "Decides access, configuration and flagged content; writes the floor."
        ),
        "policies.view_policyversion",
        "policies.add_policyversion",
        "policies.change_policyversion",
        "policies.view_backtest",
    ),
    _reviewer("support", "Decides what customers are sent."),
    _reviewer("operations", "Decides changes to records, orders, shipments, machines."),
    _reviewer("legal", "Decides contract clauses and regulated matters."),
    _reviewer(
        "manager",
        "Decides above the other roles' limits and receives what they leave undecided.",
        answers_to="executive",
    ),
    _reviewer("executive", "Decides above every manager's limit.", answers_to=""),
    Role(
        "break-glass",
        "May approve alone in an emergency: loudly, for minutes, and reviewed afterwards.",
        _RECORDS,
    ),
    Role(
        "agent owner",
        "Registers agents and answers for them; never decides on their own agents' requests.",
        (
            *_RECORDS,
            "approvals.add_agent",
            "approvals.change_agent",
            "approvals.view_agentkey",
            "approvals.add_agentkey",
            "approvals.change_agentkey",
            "approvals.view_webhookdelivery",
            "approvals.view_workloadidentity",
            "approvals.view_signingkey",
        ),
    ),
    Role(
        "ops admin",
        "Keeps roles, limits, policies and agents. Configures; never decides.",
        (
            "policies.view_*",
            "policies.add_user",
            "policies.change_user",
            "policies.add_approvallimit",
            "policies.change_approvallimit",
            "policies.add_team",
            "policies.change_team",
            "policies.add_ownership",
            "policies.change_ownership",
            "policies.add_exchangerate",
            "policies.add_policyversion",
            "policies.change_policyversion",
            "auth.view_group",
            "connectors.view_connection",
            "connectors.add_connection",
            "connectors.change_connection",
            "approvals.view_breakglass",
            "approvals.view_firedtrigger",
            "approvals.change_firedtrigger",
            "approvals.view_agent",
            "approvals.add_agent",
            "approvals.change_agent",
            "approvals.view_agentkey",
            "approvals.add_agentkey",
            "approvals.change_agentkey",
            "approvals.view_webhookdelivery",
            "approvals.view_workloadidentity",
            "approvals.view_signingkey",
        ),
    ),
    Role(
        "risk owner",
        "Writes policy, replays it over past requests, and publishes what a colleague wrote.",
        (
            "policies.view_policyversion",
            "policies.add_policyversion",
            "policies.change_policyversion",
            "policies.view_backtest",
            "approvals.view_firedtrigger",
        ),
    ),
    Role(
        "auditor",
        "Reads everything, changes nothing, exports evidence.",
        (
            "approvals.view_*",
            "policies.view_*",
            "connectors.view_connection",
            "audit.view_*",
            "auth.view_group",
        ),
    ),
)

CONFIGURING_ROLE = "ops admin"
AGENT_OWNER = "agent owner"
BREAK_GLASS = "break-glass"
BREAK_GLASS_REVIEWERS = ("manager", "executive", "security")
"""Who reviews an emergency afterwards."""
AUDITOR = "auditor"
MANAGER = "manager"
RISK_OWNER = "risk owner"
SECURITY = "security"
"""Whose the floor is, below every version of the policy."""
DECIDING_ROLES: tuple[str, ...] = tuple(role.name for role in ROLES if role.decides)
ANSWERS_TO: dict[str, str] = {role.name: role.answers_to for role in ROLES if role.answers_to}
"""Role -> the role above it; the top of the ladder answers to nobody."""
NEVER_DECIDE: frozenset[str] = frozenset({"ops admin", "auditor"})
"""Who configures or audits does not decide, whatever other role they hold."""
