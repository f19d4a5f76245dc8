"""Rules people suggest who may not write policy: each a draft, with its replay, that does nothing.

A suggestion is a draft like any other from there on: a writer of policy edits it, asks for its
publication or discards it, and another publishes it. Whoever suggested it wrote in it, so they
are never the one.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from audit.actors import Actor
from policies.evaluate import evaluate
from policies.exceptions import PolicyError
from policies.facts import Facts
from policies.models import PolicyVersion, User
from policies.parsing.grammar import read_stored
from policies.parsing.parser import parse_document
from policies.parsing.yaml_source import DocumentError
from policies.services.backtests import request_backtest
from policies.services.dual_control import require_reason
from policies.services.evaluation import active_version
from policies.services.publishable import UNPUBLISHED, check_errors, in_turn
from policies.services.versions import new_version
from policies.suggested_rules import SuggestedRule, with_rule
from policies.verdicts import Verdict

MOST_OPEN = 5
"""So many suggestions of one person wait at once."""

_SYSTEM = Actor.system("suggestions")


@transaction.atomic
def suggest_rule(
    rule: SuggestedRule, *, suggester: User, reason: str, about: str, facts: Mapping[str, object]
) -> PolicyVersion:
    """Draft the version in force with that rule added, and have it replayed.

    `about` is the id of the record it is suggested from, `facts` that record's own. Raises
    PolicyError: reason_missing, no_policy, already_suggested, too_many_suggestions, lint_errors,
    invalid_document, and changes_nothing where people would be asked all the same.
    """
    in_turn()
    require_reason(reason)
    waiting = PolicyVersion.objects.filter(status__in=UNPUBLISHED)
    same = waiting.filter(suggested_from=about).first()
    if same is not None:
        raise PolicyError("already_suggested", f"{same.label} was suggested from this already.")
    own = waiting.filter(author__person=suggester.person).exclude(suggested_from="")
    if own.count() >= MOST_OPEN:
        raise PolicyError(
            "too_many_suggestions",
            f"{MOST_OPEN} suggestions of yours still wait; let those be looked at first.",
        )
    current = active_version()
    if current is None:
        raise PolicyError("no_policy", "No policy is in force that a rule could be added to.")
    try:
        text = with_rule(read_stored(current.document).text, rule)
        parsed = parse_document(text)
    except DocumentError as refusal:
        raise PolicyError("invalid_document", f"It makes no policy: {refusal}") from refusal
    check_errors(parsed)
    said = evaluate(parsed, Facts.from_flat(facts), version="suggested")
    if said.verdict != Verdict.ALLOW or rule.id not in said.standing:
        raise PolicyError(
            "changes_nothing",
            "With that rule people would still be asked about this very case: this kind of action "
            "always goes to people, or the total is below what it comes to.",
        )
    version = new_version(text, parsed, author=suggester, reason=reason, suggested_from=about)
    request_backtest(version.pk, actor=_SYSTEM)
    return version
