"""Systems of other companies whose protocol is Python here: what a connection of each states.

An installation has those it names in `SYSTEMS`, or whose address is in the environment, as with
vendors' files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Protocol:
    """What a connection of that system has to state."""

    values: tuple[str, ...]
    """The address first."""
    secret: str
    """The name under which the connector gets its credential; "": within the address."""
    defaults: Mapping[str, str] = field(default_factory=dict)


PROTOCOLS: Mapping[str, Protocol] = {
    # the credential is `access key id:secret`; `allowed` lists ARNs
    "iam": Protocol(("base_url", "allowed"), secret="token"),  # noqa: S106 - a name
    "ldap": Protocol(
        ("url", "groups", "users", "disabled_by"),
        secret="",
        # OpenLDAP's password policy; 389 Directory Server and FreeIPA have nsAccountLock=true
        defaults={"disabled_by": "pwdAccountLockedTime=000001010000Z"},
    ),
}
