"""Text that gives instructions to whoever reads it, person or model."""

from __future__ import annotations

import unicodedata

import re2

# s: a dot is a line break, too; i: whatever the case; m: lines begin and end. RE2 never backtracks,
# so no text makes this slow, whatever it repeats.
_ALTERNATIVES = (
    r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:previous|prior|above|earlier|all|any)\b"
    r".{0,40}\b(?:instruction|rule|polic|prompt|direction|check)",
    r"\b(?:you|reviewer|approver|assistant)\b.{0,30}\b(?:must|should|have\s+to|are\s+to)\b.{0,20}"
    r"\bapprov",
    r"\b(?:already|pre-?)\s*-?\s*approved\b",
    r"\bapproved\s+by\s+(?:the\s+)?(?:c[efio]o|board|manager|director|finance|legal|security"
    r"|compliance)",
    r"\b(?:no|without|skip(?:ping)?|bypass(?:ing)?)\s+(?:further\s+|any\s+)?(?:human\s+)?"
    r"(?:review|approval)",
    r"^\s*(?:#+|\*+|\[+|<+)?\s*(?:system|assistant|developer|countersign)"
    r"\s*(?:message|notice|prompt)?\s*[\]>*]*\s*:",
    r"<\s*/?\s*(?:system|instructions?|prompt)\s*>",
    r"\b(?:jailbreak|developer\s+mode|do\s+anything\s+now)\b",
)
_INSTRUCTION = re2.compile(f"(?ism){'|'.join(_ALTERNATIVES)}")


def gives_instructions(text: str) -> bool:
    """Does it tell its reader what to do, or say the decision is taken already?

    `text` is without what nobody sees; compatibility forms (full width letters) are folded here.
    """
    return _INSTRUCTION.search(unicodedata.normalize("NFKC", text)) is not None
