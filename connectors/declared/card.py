"""Reading the card of a system, and the table of what its answers mean."""

from __future__ import annotations

from datetime import date
from fnmatch import fnmatch
from urllib.parse import urlsplit

from audit.lib.yaml_reader import Fields, Reader
from connectors.declared.expressions import ANSWER, Kind, Language
from connectors.declared.file import (
    Answers,
    Authentication,
    Card,
    ClientProof,
    KeyForm,
    KeyRule,
    Scheme,
)
from connectors.declared.reading import Computed, one_of, texts, word

SECTIONS = ("answers", "operations")
NO_AUTHENTICATION = Authentication(Scheme.NONE)


def read_card(reader: Reader, name: str) -> Card:
    """The card of the file `name`.yaml."""
    keys = reader.fields(
        ("system", "title", "api_version", "documentation", "checked_on", "authentication"),
        ("hosts", "headers", "scopes", "key", "probe", *SECTIONS),
    )
    card = Card(
        system=_own_name(keys, name),
        title=keys.read("title", Reader.text, ""),
        api_version=keys.read("api_version", Reader.text, ""),
        documentation=keys.read("documentation", _address, ""),
        checked_on=keys.read("checked_on", _day, date.min),
        authentication=keys.read("authentication", read_authentication, NO_AUTHENTICATION),
        hosts=keys.read("hosts", texts, ()),
        headers=keys.read("headers", _headers, ()),
        scopes=keys.read("scopes", texts, ()),
        key=keys.read("key", _key_rule, KeyRule()),
        probe=keys.read("probe", _path, ""),
    )
    if "authentication" in keys:
        check_endpoints(card, keys["authentication"])
    return card


def card_without_wire(keys: Fields, name: str, *, api_version: str) -> Card:
    """The card of a system that is not reached over HTTP: `system`, `title` and `checked_on`."""
    return Card(
        system=_own_name(keys, name),
        title=keys.read("title", Reader.text, ""),
        api_version=api_version,
        documentation="",
        checked_on=keys.read("checked_on", _day, date.min),
        authentication=NO_AUTHENTICATION,
    )


def _own_name(keys: Fields, name: str) -> str:
    system = keys.read("system", word, "")
    if system and system != name:
        keys["system"].problem(f"the file {name}.yaml describes the system {name}.")
    return system


def read_answers(reader: Reader) -> Answers:
    """What every answer of the system means, whatever was asked."""
    computed = Computed(Language({}, ()))
    keys = reader.fields((), ("message", "code", "rules"))
    return Answers(
        rules=keys.read("rules", computed.answer_rules, ()),
        message=computed.read(keys, "message", Kind.ANY, ANSWER),
        code=computed.read(keys, "code", Kind.ANY, ANSWER),
    )


def _day(reader: Reader) -> date:
    value = reader.value()
    if type(value) is date:
        return value
    reader.problem("must be a day, such as 2026-11-22.")
    return date.min


def _address(reader: Reader) -> str:
    text = reader.text()
    if text and not (urlsplit(text).scheme == "https" and urlsplit(text).hostname):
        reader.problem("must be an address people can open, beginning with https://.")
    return text


def _path(reader: Reader) -> str:
    text = reader.text()
    if text and not text.startswith("/"):
        reader.problem("a path begins with '/'.")
    return text


def _headers(reader: Reader) -> tuple[tuple[str, str], ...]:
    return tuple((name, item.text()) for name, item in reader.entries().items())


_OF_TOKENS = ("token", "authorize", "scope", "client", "algorithm", "audience", "lives_seconds")
_ALGORITHMS = ("RS256", "PS256", "ES256")


def read_authentication(reader: Reader) -> Authentication:
    """How a connection shows who it is."""
    keys = reader.fields(("scheme",), ("header", *_OF_TOKENS))
    scheme = keys.read("scheme", one_of(Scheme), Scheme.NONE)
    found = Authentication(
        scheme,
        header=keys.read("header", Reader.text, ""),
        token=keys.read("token", _endpoint, ""),
        authorize=keys.read("authorize", _address, ""),
        scope=keys.read("scope", Reader.text, ""),
        client=keys.read("client", one_of(ClientProof), ClientProof.BODY),
        algorithm=keys.read(
            "algorithm", lambda item: item.one_of(_ALGORITHMS, what="an algorithm") or "", ""
        ),
        audience=keys.read("audience", Reader.text, ""),
        lives_seconds=keys.read(
            "lives_seconds", lambda item: item.whole(low=60, high=86_400), None
        ),
    )
    if (scheme is Scheme.HEADER) != bool(found.header):
        reader.problem("'header' names the header of the scheme 'header', and of no other.")
    if not scheme.has_tokens and (odd := [name for name in _OF_TOKENS if name in keys]):
        keys[odd[0]].problem(
            f"'{odd[0]}' is for schemes with tokens, and '{scheme.value}' has none."
        )
    if scheme.has_tokens and not found.token:
        reader.problem("'token' is missing: where tokens are got, an address or a path.")
    if (scheme is Scheme.AUTHORIZATION_CODE) != bool(found.authorize):
        reader.problem("'authorize' is where people sign in, for 'authorization_code' alone.")
    is_signed = scheme is Scheme.JWT_BEARER or found.client is ClientProof.ASSERTION
    if is_signed != bool(found.algorithm):
        reader.problem("'algorithm' says how assertions are signed, and is for nothing else.")
    return found


def _endpoint(reader: Reader) -> str:
    text = reader.text()
    return text if text.startswith("/") else _address(reader)


def check_endpoints(card: Card, reader: Reader) -> None:
    """Credentials go to the hosts that the card names, and to no others."""
    for name in ("token", "authorize"):
        address = getattr(card.authentication, name)
        if "://" in address and not any(
            fnmatch(urlsplit(address).hostname or "", pattern) for pattern in card.hosts
        ):
            reader.problem(f"'{name}' is at a host that 'hosts' does not name.")


def _key_rule(reader: Reader) -> KeyRule:
    keys = reader.fields((), ("form", "longest"))
    form = keys.read("form", one_of(KeyForm), KeyForm.HEX)
    return KeyRule(form, keys.read("longest", lambda item: item.whole(low=32, high=64), 64))
