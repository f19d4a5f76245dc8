"""Names instead of ids: what a person reads first, made of what the target system told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from approvals.inspection import reveal
from approvals.models import ActionRequest
from approvals.selectors.case import amount_of
from connectors.base import LONGEST_SENTENCE, Preview, SystemEvidence
from connectors.catalogue import Verb, quoted

LONGEST_PAYEE = 200  # characters
_NAMES = ("name", "displayName", "bank_account_holder")
_TITLED = frozenset({"Customer", "Vendor", "Account", "User"})
"""How connectors title what they read about somebody: "Vendor acct_5001"."""
_MOST_WORDS = 6


def names_in(evidence: Iterable[SystemEvidence]) -> dict[str, str]:
    """What the system calls somebody -> their name, as it read both."""
    found: dict[str, str] = {}
    for one in evidence:
        kind, _, reference = one.title.partition(" ")
        name = next((str(one.content[key]) for key in _NAMES if one.content.get(key)), "")
        if kind in _TITLED and reference and name:
            found[reference] = name
            if address := one.content.get("email"):
                found[str(address)] = name
    return found


def payee_of(request: ActionRequest, names: Mapping[str, str]) -> str:
    """Who gets the money or the right, by name; "" where nobody is named."""
    party = request.counterparty
    found = names.get(party, "")
    if not found and party.startswith("customer of "):
        found = next(iter(names.values()), "")
    if not found and party and request.verb != Verb.PAY:
        found = party
    return _as_a_name(found)[:LONGEST_PAYEE]


def sentence_of(
    request: ActionRequest, preview: Preview, *, names: Mapping[str, str], payee: str
) -> str:
    """The effect with names: the connector's own sentence, or the effect with its ids replaced.

    Made of params and of what was read, never of the agent's words.
    """
    return (preview.sentence or _named(request, names, payee))[:LONGEST_SENTENCE]


def _named(request: ActionRequest, names: Mapping[str, str], payee: str) -> str:
    amount = amount_of(request)
    if request.verb == Verb.PAY and amount and payee:
        return f"{request.effect.partition(' ')[0]} {amount} to {payee}, {request.target}"
    # what follows the first quotation mark is what somebody wrote
    said, mark, written = request.effect.partition('"')
    for reference, name in names.items():
        for before, after in (
            (f"account {reference}", f"the account of {_as_a_name(name)}"),
            (f"vendor {reference}", _as_a_name(name)),
            (reference, _as_a_name(name)),
        ):
            if before in said:
                said = said.replace(before, after, 1)
                break
    return f"{said}{mark}{written}"


def _as_a_name(found: str) -> str:
    """A name stands as it is; whatever reads like more than one stands in quotes."""
    is_name = all(c.isalnum() or c in " .'&-@_" for c in found)
    is_short = len(found.split()) <= _MOST_WORDS
    return found if is_name and is_short else quoted(reveal(found))
