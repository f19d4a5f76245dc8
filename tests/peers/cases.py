"""Every operation that is tried on a real system."""

from __future__ import annotations

from tests.peers import ldap, scim

CASES = (*scim.CASES, *ldap.CASES)
