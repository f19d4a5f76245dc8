"""May this person? `policies.authority` answers; no other module asks what roles somebody has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("approvals", "audit", "config", "connectors", "policies")
OF_ONE_PERSON = re.compile(r"\.groups\.(filter|values|values_list|exists)\(|groups__name=")
SINGLE_ROLES = re.compile(
    r"from policies\.roles import[^)\n]*\b"
    r"(AGENT_OWNER|AUDITOR|BREAK_GLASS|CONFIGURING_ROLE|BREAK_GLASS_REVIEWERS|MANAGER|NEVER_DECIDE|RISK_OWNER)"
)
ANSWER = {"policies/authority.py", "policies/authority_rules.py", "policies/accounts_asked.py"}
ELSE = {
    "approvals/domain/notifications.py": "whom to tell",
    "approvals/domain/triggers.py": "whom to tell",
    "approvals/services/break_glass.py": "whom to tell",
    "approvals/services/watching.py": "whom to tell",
    "policies/admin/people.py": "the roles' own page",
    "policies/services/first_people.py": "whether there is an ops admin at all",
    "policies/services/people.py": "gives the roles and takes them",
    "policies/owners.py": "who is above whoever has nobody above them",
    "policies/teams.py": "who is above whoever has nobody above them",
    "policies/static_analysis/reach.py": "what a document asks for",
}


@pytest.mark.parametrize("pattern", [OF_ONE_PERSON, SINGLE_ROLES], ids=["asked", "named"])
def test_only_authority_asks_which_roles_somebody_has(pattern: re.Pattern[str]) -> None:
    asking = {
        str(path.relative_to(ROOT))
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if "migrations" not in path.parts and pattern.search(path.read_text())
    }

    assert asking - ANSWER - ELSE.keys() == set()
