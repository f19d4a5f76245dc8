"""Every operation that is tried on a real system."""

from __future__ import annotations

from tests.peers import iam, ldap, scim, sql

CASES = (*scim.CASES, *ldap.CASES, *sql.CASES, *iam.CASES)
