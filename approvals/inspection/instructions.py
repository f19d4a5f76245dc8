"""Text that instructs whoever reads it, person or model, or says it is decided already."""

from __future__ import annotations

import unicodedata

import re2

from approvals.inspection.lookalikes import as_latin

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
