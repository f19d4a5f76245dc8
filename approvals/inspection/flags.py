"""The flags of one text, and of everything a message says."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from enum import StrEnum

import re2

from approvals.inspection.characters import BIDI, misplaced, visible
from approvals.inspection.lookalikes import as_latin, has_lookalikes
from approvals.inspection.markup import has_markup, misleading_links, runs_code


class Flag(StrEnum):
    """What the detectors look for."""

    BIDI = "bidi"
    INVISIBLE = "invisible"
    LOOK_ALIKE = "look-alike"
    INJECTION = "injection"
    MARKUP = "markup"
    LINK = "link"
    LONG = "long"
    CONTRADICTION = "contradiction"


_LONG = 4000


def inspect(text: str) -> tuple[Flag, ...]:
    """The flags of one piece of agent text, sorted."""
    found: set[Flag] = set()
    odd = {text[at] for at in misplaced(text)}
    if odd & BIDI:
        found.add(Flag.BIDI)
    if odd - BIDI:
        found.add(Flag.INVISIBLE)
    shown = visible(text)
    if has_lookalikes(shown):
        found.add(Flag.LOOK_ALIKE)
    if gives_instructions(shown):
        found.add(Flag.INJECTION)
    if has_markup(shown):
        found.add(Flag.MARKUP)
    if runs_code(shown) or misleading_links(shown):
        found.add(Flag.LINK)
    if len(text) > _LONG or "\n\n\n\n" in text.replace("\r", "").replace(" ", ""):
        found.add(Flag.LONG)
    return tuple(sorted(found))


def inspect_all(texts: Iterable[str]) -> tuple[Flag, ...]:
    """The union over several texts, sorted."""
    return tuple(sorted({flag for text in texts for flag in inspect(text)}))


def strings_in(value: object) -> Iterator[str]:
    """Every string in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from strings_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from strings_in(item)


# Within a sentence: what one forgets and what the next one checks are not connected.
_GAP = r"[^.!?;]{0,40}"
_HIGH = r"(?:c[efiot]o|board|manager|director|management|finance|legal|security|compliance)"
_ALTERNATIVES = (
    rf"\b(?:ignore|disregard|forget|override)\b{_GAP}\b(?:previous|prior|above|earlier|all|any)\b{_GAP}"
    r"\b(?:instructions?|rules?|polic(?:y|ies)|prompts?|directions?|checks?|guidelines?|safeguards?)\b",
    # German, French, Spanish, Italian, Portuguese
    r"\b(?:ignorier|missacht|vergiss|ignore[zr]?|oublie|ignora|olvida|dimentica|esque)[a-z]*\b"
    rf"{_GAP}\b(?:anweisung|regel|instru[cç]|consigne|r[eè]gle|regla|istruzion|regol|regras)",
    r"\b(?:you|reviewer|approver|assistant)\b[^.!?;]{0,30}\b(?:must|should|ha(?:ve|s)\s+to|(?:are|is)\s+to)\b"
    r"[^.!?;]{0,20}\bapprove\b\s*(?:[^\so]|$|o[^f])",  # not "approve of the colour"
    r"\bauto(?:matically)?[\s-]*approve\b|\bapprove\s+(?:this\s+|it\s+)?automatically\b",
    # Not "already approved by the warehouse team", nor "already approved the exchange".
    r"\b(?:already|pre)[\s-]*approved\s*(?:[^\s\w]|$|so\b|just\b|please\b)",
    rf"\b(?:approved|authori[sz]ed|signed\s+off)\s+by\s+(?:the\s+|our\s+|your\s+)?{_HIGH}\b",
    rf"\b{_HIGH}\s+(?:has\s+|have\s+)?(?:already\s+)?(?:approved|authori[sz]ed|signed\s+off)"
    r"\s*(?:[^\s\w]|$|this\b|it\b|the\s+(?:payment|refund|request|transfer|transaction|action|change))",
    r"\b(?:skip(?:ping)?|bypass(?:ing)?)\s+(?:the\s+|any\s+|further\s+|human\s+|manual\s+){0,3}"
    r"(?:review|approval)",
    # Not "the customer left no review", nor "charged without approval".
    r"\bno\s+(?:further\s+|human\s+|manual\s+){0,3}(?:review|approval)s?\s+(?:is\s+|are\s+)?"
    r"(?:needed|required|necessary)\b",
    r"\bno\s+need\s+(?:for\s+(?:a\s+|any\s+|further\s+|human\s+)?(?:review|approval)|to\s+(?:review|approve))",
    r"\b(?:needs?|requires?)\s+no\s+(?:further\s+|human\s+|manual\s+){0,3}(?:review|approval)",
    r"\b(?:pay|refund|execute|process|proceed|release|approve|run)\b[^.!?;]{0,30}\bwithout\s+"
    r"(?:any\s+|further\s+|human\s+|manual\s+){0,3}(?:review|approval)",
    r"\b(?:do\s+not|don[\x{2019}']t|never)\s+(?:tell|alert|notify|flag|escalate|inform|show|mention)\b"
    rf"{_GAP}\b(?:reviewers?|approvers?|humans?|security|compliance|auditors?)\b",
    rf"\b(?:mark|treat|classify|rate)\b{_GAP}\bas\s+(?:low[\s-]+risk|tier\s+[0-5]|trusted)\b",
    r"\b(?:you\s+are\s+now|act\s+as|pretend\s+to\s+be)\s+(?:an?\s+|the\s+)?(?:[a-z]+\s+){0,2}"
    r"(?:assistant|system|admin|administrator|approver|reviewer)\b",
    r"\bnew\s+(?:system\s+)?(?:instructions?|prompt)\s*:",
    r"^\s*(?:#+|\*+|\[+|<+)?\s*(?:system|assistant|developer|countersign)"
    r"\s*(?:message|notice|prompt)?\s*[\]>*]*\s*:",
    r"<\s*/?\s*(?:system|instructions?|prompt)\s*>",
    r"\b(?:jailbreak|developer\s+mode|do\s+anything\s+now)\b",
)
# s: a dot is a line break, too; i: whatever the case; m: lines begin and end. RE2 never backtracks,
# so no text makes this slow, whatever it repeats.
_INSTRUCTION = re2.compile(f"(?ism){'|'.join(_ALTERNATIVES)}")


def gives_instructions(text: str) -> bool:
    """Does it tell its reader what to do, or say the decision is taken already?

    `text` is without what nobody sees; compatibility forms (full width letters) and letters that
    pass for Latin ones are folded here.
    """
    plain = unicodedata.normalize("NFKC", text)
    if _INSTRUCTION.search(plain):
        return True
    latin = as_latin(plain)
    return latin != plain and _INSTRUCTION.search(latin) is not None
