"""How an evaluation is stored: which rule came to what. The words are in the policy's version.

A version that has evaluated something never changes, so its rules are named and not repeated. What
the engine laid over policy's answer has no version, and is stored in full. Earlier releases stored
every rule in full; both can be read.
"""

from __future__ import annotations

from typing import Any

from audit.lib.canonical import JsonObject, JsonValue
from policies.document import Rule
from policies.evaluate import ENGINE, FLOOR
from policies.models import PolicyVersion
from policies.services.evaluation import document_of
from policies.verdicts import Clause, Evaluation, RuleTrace

_LETTERS = {"true": "t", "false": "f", "error": "e"}
_OUTCOMES = {letter: outcome for outcome, letter in _LETTERS.items()}


def stored_trace(evaluation: Evaluation) -> JsonObject:
    """What is kept of an evaluation; `rules_in` gives its rules back."""
    recall = {"recall_seconds": evaluation.recall_seconds}
    return {
        **(recall if evaluation.recall_seconds else {}),
        "version": evaluation.version,
        "operating_model": evaluation.operating_model,
        "pattern": evaluation.pattern,
        "step_up": evaluation.step_up,
        "sign_off": evaluation.sign_off,
        "standing": list(evaluation.standing),
        "categories": list(evaluation.categories),
        "rules": [_stored(rule) for rule in evaluation.trace],
    }


def rules_in(
    trace: JsonObject,
    version: PolicyVersion | None,
    floor: PolicyVersion | None = None,
    *,
    matched_only: bool = False,
) -> list[dict[str, Any]]:
    """Every rule of a stored trace, or those that matched, with owner, reason, effect and clauses.

    `version` is the one that evaluated, above that `floor`. Where one can no longer be read, its
    words stay empty.
    """
    known = _rules_of(version, "") | _rules_of(floor, FLOOR)
    entries: list[dict[str, Any]] = list(trace.get("rules", ()))  # type: ignore[arg-type]
    if matched_only:
        entries = [entry for entry in entries if entry.get("matched")]
    return [entry if "clauses" in entry else _whole(entry, known) for entry in entries]


def _rules_of(version: PolicyVersion | None, prefix: str) -> dict[str, Rule]:
    document = document_of(version) if version is not None else ""
    rules = () if isinstance(document, str) else document.rules
    return {f"{prefix}{rule.id}": rule for rule in rules}


def _stored(rule: RuleTrace) -> JsonObject:
    if rule.owner == ENGINE:
        return {
            "rule": rule.rule,
            "owner": rule.owner,
            "reason": rule.reason,
            "effect": rule.effect.value,
            "matched": rule.matched,
            "clauses": [_clause(clause) for clause in rule.clauses],
        }
    outcomes = "".join(_LETTERS[clause.outcome] for clause in rule.clauses)
    entry: dict[str, JsonValue] = {"rule": rule.rule, "outcomes": outcomes}
    if rule.matched:  # a standing approval adds to the reason
        entry |= {"matched": True, "reason": rule.reason, "effect": rule.effect.value}
    details = {str(n): clause.detail for n, clause in enumerate(rule.clauses) if clause.detail}
    return entry | {"details": details} if details else entry


def _whole(entry: dict[str, Any], known: dict[str, Rule]) -> dict[str, Any]:
    rule = known.get(entry["rule"])
    outcomes, details = entry["outcomes"], entry.get("details", {})
    texts = rule.when if rule else ()
    if rule and rule.on:  # of another type's rule only the first was asked
        texts = texts[: len(outcomes)]
    if len(texts) != len(outcomes):
        texts = ("",) * len(outcomes)
    return {
        "rule": entry["rule"],
        "owner": rule.owner if rule else "",
        "reason": entry.get("reason", rule.reason if rule else ""),
        "effect": entry.get("effect", rule.effect.value if rule else ""),
        "matched": entry.get("matched", False),
        "clauses": [
            _clause(Clause(text, _OUTCOMES[letter], details.get(str(number), "")))
            for number, (text, letter) in enumerate(zip(texts, outcomes, strict=True))
        ],
    }


def _clause(clause: Clause) -> JsonObject:
    return {"text": clause.text, "outcome": clause.outcome, "detail": clause.detail}
