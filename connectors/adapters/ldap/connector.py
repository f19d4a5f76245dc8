"""Members of groups and disabled accounts, changed only as long as nobody else has changed them.

The guard is the entry's entryCSN, which the directory compares in the same operation (RFC 4528);
what a change replaced it tells from there too (RFC 4527). Active Directory has neither: it refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from audit.lib.canonical import JsonObject, digest_of
from connectors.adapters.ldap.client import LdapClient, Session
from connectors.adapters.ldap.messages import Answer, Change, Entry, Modification, Result
from connectors.base import (
    Action,
    ConnectorError,
    DispatchingConnector,
    Preview,
    ReadBack,
    Receipt,
    SystemEvidence,
    cannot_undo,
    compare,
)
from connectors.catalogue import text

_VERSION = "entryCSN"
_USER = ("uid", "cn", "displayName", "mail", "entryUUID", _VERSION)
_GROUP = ("cn", "description", "objectClass", "member", "uniqueMember", "entryUUID", _VERSION)
_NEED_A_MEMBER = frozenset({"groupofnames", "groupofuniquenames"})


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory, and which parts of it may be named: subtrees of groups and of users."""

    client: LdapClient
    groups: str
    users: str
    disabled_by: tuple[str, str]
    """The attribute that disables an account, and the value it then has."""

    @contextmanager
    def user(self, name: str) -> Iterator[tuple[Session, Entry]]:
        """The user's entry, in a session. Raises ConnectorError."""
        wanted = (*_USER, self.disabled_by[0])
        with self.client.session() as session:
            yield session, session.find(self.users, "uid", name, wanted)

    def group(self, session: Session, name: str) -> Entry:
        return session.find(self.groups, "cn", name, _GROUP)


class LdapConnector(DispatchingConnector):
    """One directory."""

    system = "ldap"

    def __init__(self, url: str, groups: str, users: str, disabled_by: str) -> None:
        attribute, _, value = disabled_by.partition("=")
        directory = Directory(LdapClient(url), groups, users, (attribute, value))
        super().__init__(
            {
                "ldap_group.add": _Membership(directory, wanted=True),
                "ldap_group.remove": _Membership(directory, wanted=False),
                "ldap_user.disable": _Disabling(directory, wanted=True),
                "ldap_user.enable": _Disabling(directory, wanted=False),
            }
        )


class _Guarded:
    """What changes of one entry share."""

    def __init__(self, directory: Directory, *, wanted: bool) -> None:
        self._directory = directory
        self._wanted = wanted

    def look_up(self, action: Action, key: str) -> Receipt | None:
        """A change leaves no mark of ours: whose it was the directory cannot tell."""
        return None

    def _change(self, session: Session, change: Change) -> Answer:
        """Make it, or say in people's words why the directory did not."""
        answer = session.modify(change)
        if answer.result == Result.ASSERTION_FAILED:
            raise ConnectorError(
                "The entry was changed meanwhile; what was approved is not what is there. "
                "Nothing was changed.",
                permanent=True,
                code="conflict",
            )
        if answer.result != Result.SUCCESS:
            session.refuse(answer)
        return answer


class _Membership(_Guarded):
    """Puts a user into a group or takes one out."""

    def preview(self, action: Action) -> Preview:
        with self._directory.user(text(action.params, "user")) as (session, user):
            group = self._directory.group(session, text(action.params, "group"))
            before: JsonObject = {"member": session.has_value(group.dn, _named(group), user.dn)}
        after: JsonObject = {"member": self._wanted}
        if before["member"] and not self._wanted and _is_last(group):
            after = {"problem": _LAST}
        return Preview(
            before=before,
            after=after,
            target_version=digest_of({**before, "user": user.dn, "group": group.dn}),
            guard=_guard(group, user),
            evidence=(_group_record(group), _user_record(user)),
        )

    def execute(self, action: Action, key: str, guard: str) -> Receipt:
        name, group_name = text(action.params, "user"), text(action.params, "group")
        with self._directory.user(name) as (session, user):
            group = self._directory.group(session, group_name)
            change = Change(
                group.dn,
                Modification.ADD if self._wanted else Modification.DELETE,
                _named(group),
                (user.dn,),
                asserted=(_VERSION, _approved(guard, user)),
                read_before=("cn", _VERSION),
            )
            answer = self._answer(session, change, name, group_name)
        # The directory refuses a member twice, and to take out who is none: it was not so before.
        state = "is in" if self._wanted else "is not in"
        return Receipt(
            group.dn[:200],
            f"{name} {state} {group_name}.",
            {"user": user.dn, "group": group.dn, "version_before": _version_before(answer)},
            {"member": not self._wanted},
        )

    def _answer(self, session: Session, change: Change, user: str, group: str) -> Answer:
        try:
            return self._change(session, change)
        except ConnectorError as error:
            match error.code:
                case "ldap_16" | "ldap_20":
                    said = f"{user} is {'in' if self._wanted else 'not in'} {group} already."
                    code = "already_so"
                case "ldap_65" if not self._wanted:
                    said, code = _LAST, "last_member"
                case _:
                    raise
            raise ConnectorError(
                f"{said} Nothing was changed.", permanent=True, code=code
            ) from error

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        with self._directory.user(text(action.params, "user")) as (session, user):
            group = self._directory.group(session, text(action.params, "group"))
            observed: JsonObject = {"member": session.has_value(group.dn, _named(group), user.dn)}
        return ReadBack(observed, compare({"member": self._wanted}, observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        if receipt.pre_image.get("member") is not (not self._wanted):
            raise cannot_undo("It was so before; there is nothing to take back.")
        undo = "ldap_group.remove" if self._wanted else "ldap_group.add"
        return Action(undo, dict(action.params))


class _Disabling(_Guarded):
    """Sets the attribute that keeps a user from signing in, or takes it away."""

    def preview(self, action: Action) -> Preview:
        with self._directory.user(text(action.params, "user")) as (_, user):
            before: JsonObject = {"disabled": self._is_disabled(user)}
        return Preview(
            before=before,
            after={"disabled": self._wanted},
            target_version=digest_of({**before, "user": user.dn}),
            guard=_guard(user, user),
            evidence=(_user_record(user),),
        )

    def execute(self, action: Action, key: str, guard: str) -> Receipt:
        attribute, value = self._directory.disabled_by
        name = text(action.params, "user")
        with self._directory.user(name) as (session, user):
            change = Change(
                user.dn,
                Modification.REPLACE,
                attribute,
                (value,) if self._wanted else (),
                asserted=(_VERSION, _approved(guard, user)),
                read_before=(attribute, _VERSION),
            )
            answer = self._change(session, change)
        before = answer.before
        return Receipt(
            user.dn[:200],
            f"{name} is {'disabled' if self._wanted else 'enabled'}.",
            {"user": user.dn, "version_before": _version_before(answer)},
            {"disabled": self._is_disabled(before)} if before else {},
        )

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        with self._directory.user(text(action.params, "user")) as (_, user):
            observed: JsonObject = {"disabled": self._is_disabled(user)}
        return ReadBack(observed, compare({"disabled": self._wanted}, observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        if receipt.pre_image.get("disabled") is not (not self._wanted):
            raise cannot_undo("It was so before; there is nothing to take back.")
        undo = "ldap_user.enable" if self._wanted else "ldap_user.disable"
        return Action(undo, dict(action.params))

    def _is_disabled(self, user: Entry) -> bool:
        attribute, value = self._directory.disabled_by
        return user.first(attribute).lower() == value.lower()


_LAST = "The user is the last member, and this kind of group cannot be without one."


def _named(group: Entry) -> str:
    """The attribute this kind of group keeps its members in."""
    return "uniqueMember" if "groupofuniquenames" in _classes(group) else "member"


def _classes(group: Entry) -> set[str]:
    return {name.lower() for name in group.attributes.get("objectclass", ())}


def _is_last(group: Entry) -> bool:
    members = group.attributes.get(_named(group).lower(), ())
    return len(members) == 1 and not _NEED_A_MEMBER.isdisjoint(_classes(group))


def _guard(entry: Entry, user: Entry) -> str:
    """The entry's version, and which user the name stood for: names can be given to others."""
    version = entry.first(_VERSION)
    if not version:
        raise ConnectorError(
            "The directory shows no entryCSN, by which a change could be held to what was "
            "approved. Give this connection's account the right to read it.",
            permanent=True,
            code="no_version",
        )
    return f"{version} {_identity(user)}"


def _approved(guard: str, user: Entry) -> str:
    """The approved version, if the name still stands for the approved user."""
    version, _, identity = guard.partition(" ")
    if not version:
        raise ConnectorError(
            "The entry's version is not known, and the change must carry it; nothing was sent.",
            permanent=True,
            code="no_guard",
        )
    if identity != _identity(user):
        raise ConnectorError(
            "The name stands for another user than the approved one; nothing was sent.",
            permanent=True,
            code="conflict",
        )
    return version


def _identity(user: Entry) -> str:
    return digest_of([user.dn, user.first("entryUUID")])[:32]


def _version_before(answer: Answer) -> str:
    return answer.before.first(_VERSION) if answer.before else ""


def _user_record(user: Entry) -> SystemEvidence:
    names = {name: user.first(name) for name in ("uid", "cn", "displayName", "mail")}
    content: JsonObject = {"dn": user.dn, **{name: said for name, said in names.items() if said}}
    called = names["displayName"] or names["cn"] or names["uid"]
    return SystemEvidence("source_record", f"User {called}"[:200], content)


def _group_record(group: Entry) -> SystemEvidence:
    content: JsonObject = {
        "dn": group.dn,
        "cn": group.first("cn"),
        "description": group.first("description"),
        "members": len(group.attributes.get(_named(group).lower(), ())),
    }
    return SystemEvidence("source_record", f"Group {group.first('cn')}"[:200], content)
