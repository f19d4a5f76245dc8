"""HTML, Markdown images, and links that lead elsewhere than they show.

Nothing here renders markup, but the text goes on: into a mail, a ticket, another model's context,
where an image fetches an address and a link is followed for what it says.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import re2

_TAGS = (
    "a|abbr|audio|base|blockquote|body|br|button|canvas|center|code|details|dialog|div|embed|em|font"
    "|form|frame|frameset|h[1-6]|head|hr|html|iframe|img|input|li|link|marquee|math|meta|noscript"
    "|object|ol|picture|pre|script|section|select|source|span|strong|style|summary|svg|table|tbody"
    "|td|template|textarea|th|title|tr|ul|video"
)
# Not "a < b", "<3" or "<zoe@mail.example>"; a tag of one letter only when it is complete.
_HTML = re2.compile(
    rf"(?i)</?(?:{_TAGS})(?:[\s/][^<>]*)?>|</?[biups]>|<(?:{_TAGS})[\s/]+[a-z-]+\s*=|<!--|<!doctype\b"
    r"|<script\b"
)
_IMAGE = re2.compile(r"!\[[^\]\n]*\][(\[]")
_CODE = re2.compile(r"(?i)\b(?:java|vb)script:[^\s]|\bdata:[a-z]+/[a-z0-9.+-]+[;,]")
_ANCHOR = re2.compile(r"(?i)<a\s[^<>]*\bhref\s*=\s*[\"']?([^\"'\s<>]*)[^<>]*>([^<]*)")
_DEFINITION = re2.compile(r"(?m)^[ \t>]*\[([^\]\n]+)\]:[ \t]*<?([^\s<>]+)")
_WITH_USER = re2.compile(r"(?i)\bhttps?://([^\s/?#<>()\[\]\"']{1,200})@([^\s/?#<>()\[\]\"'\\]+)")
_HOST = re2.compile(r"(?i)(https?://|www\.)?((?:[\pL\pN][\pL\pN\pM-]*\.)+\pL[\pL\pM-]+)")
_FILES = frozenset(
    {"pdf", "png", "jpg", "jpeg", "gif", "svg", "webp", "doc", "docx", "xls", "xlsx", "csv", "txt"}
    | {"zip", "html", "htm", "json", "xml", "eml", "js", "py"}
)
"""What looks like a host's last part and is a file's."""
_LONGEST_TEXT = 300  # of a link, from its end
_FULL_STOPS = str.maketrans(dict.fromkeys("\u3002\uff0e\uff61", "."))  # as UTS 46 reads them
_LINE_ENDS = str.maketrans("", "", "\t\r\n")


@dataclass(frozen=True, slots=True)
class Misleading:
    """A link and where it really leads, both as hosts."""

    shows: str
    leads_to: str


def has_markup(text: str) -> bool:
    """Is there an HTML tag or an image in it, written out or as character references?"""
    plain = html.unescape(text) if "&" in text else text
    return _HTML.search(plain) is not None or _IMAGE.search(plain) is not None


def runs_code(text: str) -> bool:
    """Is there an address that is a script or a document itself?

    Browsers leave out line ends within an address, so they are left out here.
    """
    plain = html.unescape(text) if "&" in text else text
    if ":" not in plain:
        return False
    return _CODE.search(plain) is not None or _CODE.search(plain.translate(_LINE_ENDS)) is not None


def misleading_links(text: str) -> tuple[Misleading, ...]:
    """Links whose text names another host than they lead to, each once, in order."""
    plain = html.unescape(text) if "&" in text else text
    found = [
        Misleading(shown[:100], leads[:100])
        for words, address in _links(plain)
        if (leads := _host_of(address))
        for shown in _hosts_in(words)
        if shown != leads and not leads.endswith(f".{shown}")
    ]
    for user, host in _WITH_USER.findall(plain) if "@" in plain else ():
        found += [Misleading(shown[:100], host.lower()[:100]) for shown in _hosts_in(user)]
    return tuple(dict.fromkeys(found))


def _links(text: str) -> Iterator[tuple[str, str]]:
    """Every link as its words and its address: of Markdown, inline and by reference, and HTML."""
    if "](" in text or "]:" in text or "][" in text:
        yield from _markdown_links(text)
    if "<" in text:
        for address, words in _ANCHOR.findall(text):
            yield words, address


def _markdown_links(text: str) -> Iterator[tuple[str, str]]:
    defined = {name.lower(): address for name, address in _DEFINITION.findall(text)}
    yield from defined.items()  # [shop.example] alone is a link to what is defined so
    opened: list[int] = []
    for at, char in enumerate(text):
        if char == "[":
            opened.append(at)
        elif char == "]" and opened:
            words = text[max(opened.pop() + 1, at - _LONGEST_TEXT) : at]
            following = text[at + 1 : at + 2]
            if following == "(":
                yield words, _address(text[at + 2 : at + 2 + _LONGEST_TEXT])
            elif following == "[":
                name = text[at + 2 : at + 2 + _LONGEST_TEXT].partition("]")[0].lower()
                yield words, defined.get(name, "")


def _address(text: str) -> str:
    words = text.strip(" \t\n<").partition(")")[0].split(maxsplit=1)
    return words[0].rstrip(">") if words else ""


def _host_of(address: str) -> str:
    """The host an address leads to; "" for none."""
    address = address.replace("\\", "/")  # as browsers read it
    if address.lower().startswith("mailto:"):
        return address.partition("?")[0].rpartition("@")[2].lower()
    try:
        parts = urlsplit(f"https:{address}" if address.startswith("//") else address)
        return (parts.hostname or "").removesuffix(".")
    except ValueError:
        return address[:100]  # whatever it is, it is not what its text shows


def _hosts_in(words: str) -> Iterator[str]:
    for scheme, host in _HOST.findall(words.translate(_FULL_STOPS)):
        if scheme or host.rpartition(".")[2].lower() not in _FILES:
            yield host.lower()
