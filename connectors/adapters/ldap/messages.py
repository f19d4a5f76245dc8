"""LDAP on the wire (RFC 4511): the few messages we send, and what comes back.

Written and read by pyasn1 from the standard's own grammar. Values are data wherever they stand:
there is no filter or change as text that a name could break out of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from pyasn1.codec.ber import decoder, encoder
from pyasn1.error import PyAsn1Error
from pyasn1_modules import rfc2251

ASSERTION = "1.3.6.1.1.12"  # RFC 4528
PRE_READ = "1.3.6.1.1.13.1"  # RFC 4527
START_TLS = "1.3.6.1.4.1.1466.20037"  # RFC 4511, section 4.14

Attributes = Mapping[str, tuple[str, ...]]


class Result(IntEnum):
    """Result codes that we tell apart (RFC 4511, section 4.1.9, and RFC 4528)."""

    SUCCESS = 0
    COMPARE_FALSE = 5
    COMPARE_TRUE = 6
    REFERRAL = 10
    UNAVAILABLE_CRITICAL_EXTENSION = 12
    NO_SUCH_ATTRIBUTE = 16
    ATTRIBUTE_OR_VALUE_EXISTS = 20
    NO_SUCH_OBJECT = 32
    INVALID_CREDENTIALS = 49
    INSUFFICIENT_ACCESS = 50
    BUSY = 51
    UNAVAILABLE = 52
    OBJECT_CLASS_VIOLATION = 65
    OTHER = 80
    ASSERTION_FAILED = 122


class Modification(IntEnum):
    ADD = 0
    DELETE = 1
    REPLACE = 2


class NotLdap(Exception):
    """What came is no LDAP message, or not the one that was waited for."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; attribute names in small letters, for they have no case."""

    dn: str
    attributes: Attributes

    def first(self, name: str) -> str:
        """The attribute's first value, "" where there is none."""
        return next(iter(self.attributes.get(name.lower(), ())), "")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request came to."""

    result: int
    message: str = ""
    entries: tuple[Entry, ...] = ()
    before: Entry | None = None
    """The entry just before the change, from the pre-read control."""


def bind(number: int, name: str, password: str) -> bytes:
    """A simple bind (RFC 4513, section 5.1.3)."""
    message, request = _request(number, "bindRequest")
    request["version"] = 3
    request["name"] = name.encode()
    request["authentication"]["simple"] = password.encode()
    return _encoded(message)


def start_tls(number: int) -> bytes:
    message, request = _request(number, "extendedReq")
    request["requestName"] = START_TLS.encode()
    return _encoded(message)


def search(number: int, base: str, attribute: str, value: str, wanted: Sequence[str]) -> bytes:
    """Everything below `base` whose attribute has that value; two are enough to be too many."""
    message, request = _request(number, "searchRequest")
    request["baseObject"] = base.encode()
    request["scope"] = 2  # the whole subtree
    request["derefAliases"] = 0
    request["sizeLimit"] = 2
    request["timeLimit"] = 0
    request["typesOnly"] = False
    match = request["filter"]["equalityMatch"]
    match["attributeDesc"] = attribute.encode()
    match["assertionValue"] = value.encode()
    request["attributes"].extend(name.encode() for name in wanted)
    return _encoded(message)


def compare(number: int, dn: str, attribute: str, value: str) -> bytes:
    """Whether the entry's attribute has that value, by the directory's own rules of equality."""
    message, request = _request(number, "compareRequest")
    request["entry"] = dn.encode()
    request["ava"]["attributeDesc"] = attribute.encode()
    request["ava"]["assertionValue"] = value.encode()
    return _encoded(message)


@dataclass(frozen=True, slots=True)
class Change:
    """One attribute of one entry, changed if the entry is still the one that was read."""

    dn: str
    modification: Modification
    attribute: str
    values: tuple[str, ...]
    asserted: tuple[str, str]
    """An attribute and the value it must have, in the same operation."""
    read_before: tuple[str, ...] = field(default=())


def modify(number: int, change: Change) -> bytes:
    message, request = _request(number, "modifyRequest")
    request["object"] = change.dn.encode()
    modification = request["modification"][0]
    modification["operation"] = int(change.modification)
    modification["modification"]["type"] = change.attribute.encode()
    values = modification["modification"]["vals"]
    values.clear()  # pyasn1 leaves an empty set out unless it was said to be one
    values.extend(value.encode() for value in change.values)
    assertion = rfc2251.Filter()
    assertion["equalityMatch"]["attributeDesc"] = change.asserted[0].encode()
    assertion["equalityMatch"]["assertionValue"] = change.asserted[1].encode()
    wanted = rfc2251.AttributeDescriptionList()
    wanted.extend(name.encode() for name in change.read_before)
    for place, (kind, value) in enumerate(((ASSERTION, assertion), (PRE_READ, wanted))):
        control = message["controls"][place]
        control["controlType"] = kind.encode()
        control["criticality"] = True  # a server that cannot must refuse instead of going on
        control["controlValue"] = encoder.encode(value)
    return _encoded(message)


@dataclass(slots=True)
class Reader:
    """Puts messages together from the bytes as they come."""

    _bytes: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> None:
        self._bytes += data

    def next_message(self) -> Any | None:
        """The next whole message; None while it is not all there. Raises NotLdap."""
        size = self._size()
        if size is None or len(self._bytes) < size:
            return None
        whole = bytes(self._bytes[:size])
        del self._bytes[:size]
        try:
            message, rest = decoder.decode(whole, asn1Spec=rfc2251.LDAPMessage())
        except PyAsn1Error as error:
            raise NotLdap("The answer is no LDAP message.") from error
        if rest:
            raise NotLdap("The answer is longer than it says.")
        return message

    def _size(self) -> int | None:
        """How many bytes the next message has, header and all, by its length octets."""
        if len(self._bytes) < 2:
            return None
        if self._bytes[0] != 0x30:
            raise NotLdap("The answer is no LDAP message.")
        first = self._bytes[1]
        if first < 0x80:
            return 2 + first
        octets = first & 0x7F
        if not 1 <= octets <= 4:  # LDAP has definite lengths only
            raise NotLdap("The answer's length cannot be read.")
        if len(self._bytes) < 2 + octets:
            return None
        return 2 + octets + int.from_bytes(self._bytes[2 : 2 + octets], "big")


def entry_of(message: Any) -> Entry | None:
    """The entry in it, when the message is one of a search's."""
    operation = message["protocolOp"]
    return _entry(operation["searchResEntry"]) if operation.getName() == "searchResEntry" else None


def answer_of(message: Any, entries: Sequence[Entry]) -> Answer | None:
    """What a request came to; None for anything that is not its end, referrals in a search too."""
    operation = message["protocolOp"]
    name = operation.getName()
    if name not in _ENDS:
        return None
    found = operation[name]
    said = bytes(found["errorMessage"]).decode("utf-8", "replace")
    return Answer(int(found["resultCode"]), said, tuple(entries), _before(message))


_ENDS = frozenset(
    {"bindResponse", "searchResDone", "compareResponse", "modifyResponse", "extendedResp"}
)


def _before(message: Any) -> Entry | None:
    if not message["controls"].isValue:
        return None
    for control in message["controls"]:
        if bytes(control["controlType"]).decode() == PRE_READ and control["controlValue"].isValue:
            try:
                entry, _ = decoder.decode(
                    bytes(control["controlValue"]), asn1Spec=rfc2251.SearchResultEntry()
                )
            except PyAsn1Error as error:
                raise NotLdap("The pre-read control holds no entry.") from error
            return _entry(entry)
    return None


def _entry(found: Any) -> Entry:
    attributes = {
        bytes(one["type"]).decode().lower(): tuple(
            bytes(value).decode("utf-8", "replace") for value in one["vals"]
        )
        for one in found["attributes"]
    }
    return Entry(bytes(found["objectName"]).decode(), attributes)


def _request(number: int, name: str) -> tuple[Any, Any]:
    message = rfc2251.LDAPMessage()
    message["messageID"] = number
    return message, message["protocolOp"][name]


def _encoded(message: Any) -> bytes:
    encoded: bytes = encoder.encode(message)
    return encoded
