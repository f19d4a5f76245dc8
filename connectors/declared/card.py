"""Reading the card of a system, and the table of what its answers mean."""

from __future__ import annotations

from datetime import date
from urllib.parse import urlsplit

from audit.lib.yaml_reader import Reader
from connectors.declared.expressions import ANSWER, Kind, Language
from connectors.declared.file import (
    Answers,
    Authentication,
    Card,
    KeyForm,
    KeyRule,
    Scheme,
)
from connectors.declared.reading import Computed, one_of, texts, word

SECTIONS = ("answers", "operations")


def read_card(reader: Reader, name: str) -> Card:
    """The card of the file `name`.yaml."""
    keys = reader.fields(
        ("system", "title", "api_version", "documentation", "checked_on", "authentication"),
        ("hosts", "headers", "scopes", "key", "probe", *SECTIONS),
    )
    system = keys.read("system", word, "")
    if system and system != name:
        keys["system"].problem(f"the file {name}.yaml describes the system {name}.")
    return Card(
        system=system,
        title=keys.read("title", Reader.text, ""),
        api_version=keys.read("api_version", Reader.text, ""),
        documentation=keys.read("documentation", _address, ""),
        checked_on=keys.read("checked_on", _day, date.min),
        authentication=keys.read("authentication", _authentication, Authentication(Scheme.NONE)),
        hosts=keys.read("hosts", texts, ()),
        headers=keys.read("headers", _headers, ()),
        scopes=keys.read("scopes", texts, ()),
        key=keys.read("key", _key_rule, KeyRule()),
        probe=keys.read("probe", _path, ""),
    )


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


def _authentication(reader: Reader) -> Authentication:
    keys = reader.fields(("scheme",), ("header",))
    scheme = keys.read("scheme", one_of(Scheme), Scheme.NONE)
    header = keys.read("header", Reader.text, "")
    if (scheme is Scheme.HEADER) != bool(header):
        reader.problem("'header' names the header of the scheme 'header', and of no other.")
    return Authentication(scheme, header)


def _key_rule(reader: Reader) -> KeyRule:
    keys = reader.fields((), ("form", "longest"))
    form = keys.read("form", one_of(KeyForm), KeyForm.HEX)
    return KeyRule(form, keys.read("longest", lambda item: item.whole(low=32, high=64), 64))
