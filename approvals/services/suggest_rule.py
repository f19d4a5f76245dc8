"""Suggesting a rule from a case: a draft for those who write policy, and nothing else.

It takes no effect from here, whoever suggests it.
"""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.timezone import get_default_timezone, localdate

from approvals.exceptions import ApprovalError, FieldProblem, MalformedProposal
from approvals.models import ActionRequest
from approvals.selectors.authority import authorise
from approvals.selectors.evidence_view import stored_json
from approvals.selectors.request_view import RequestView
from approvals.selectors.rule_from_case import RuleFromCase, rule_from_case, said_yes
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.money import Money, MoneyError
from audit.services import record
from policies.exceptions import PolicyError
from policies.models import PolicyVersion, User
from policies.services import suggestions
from policies.suggested_rules import SuggestedRule

LONGEST = timedelta(days=365)
MOST_TIMES = 1_000


@transaction.atomic
def suggest_rule(
    request_id: UUID, *, person: User, until: date, total: str, reason: str
) -> PolicyVersion:
    """Draft "always like this": until that day, and no more than `total` in any 30 days.

    `total` is money in the base currency where the case moves money, else a number of times; the
    policy language knows no longer total. Only whoever may approve the case, or did, suggests
    anything from it. Raises NotAuthorised, MalformedProposal with the bad fields, and ApprovalError
    with the reason where nothing can be said in advance.
    """
    request = ActionRequest.objects.locked(request_id)
    person = User.objects.get(pk=person.pk)
    at = db_clock.now()
    if not (person.is_active and said_yes(request, person)):
        authorise(person, request, needs_limit=True, at=at)
    view = RequestView(request)
    found = rule_from_case(request, view.asked)
    if found is None or view.asked is None:
        raise ApprovalError(
            "Nothing can be said in advance about a case like this; people decide each.",
            code="no_rule_from_this",
        )
    today = localdate(at, get_default_timezone())
    if not today < until <= today + LONGEST:
        problem = FieldProblem("until", "Choose a day from tomorrow on, within a year.")
        raise MalformedProposal([problem])
    rule = SuggestedRule(
        id=found.id,
        owner=found.owner,
        reason=f"As {person.get_username()} suggests: {reason.strip()}",
        clauses=(*found.clauses, total_clause(found, total)),
        until=until,
        instead_of=found.instead_of,
    )
    facts = {**stored_json(view.asked.decision.facts), "time.today": today.isoformat()}
    try:
        version = suggestions.suggest_rule(
            rule, suggester=person, reason=reason.strip(), about=str(request.pk), facts=facts
        )
    except PolicyError as refusal:
        raise ApprovalError(refusal.message, code=refusal.code) from refusal
    record(
        AuditCode.RULE_SUGGESTED,
        actor=Actor.human(person),
        subject=request,
        data={"version": version.label, "digest": version.digest, "rule": found.id},
    )
    return version


def total_clause(found: RuleFromCase, typed: str) -> str:
    """All it may be used for in 30 days, as a clause."""
    if found.has_amount:
        try:
            most = Money.typed(typed, settings.BASE_CURRENCY).minor
        except MoneyError:
            most = 0
        if most <= 0:
            sentence = f"Write an amount in {settings.BASE_CURRENCY}, such as 2,000.00."
            raise MalformedProposal([FieldProblem("total", sentence)])
        return f"velocity.customer_sum_30d <= {most}"
    times = int(typed) if typed.isascii() and typed.isdecimal() and len(typed) <= 4 else 0
    if not 0 < times <= MOST_TIMES:
        problem = FieldProblem("total", f"Write how many times, up to {MOST_TIMES}.")
        raise MalformedProposal([problem])
    return f"velocity.customer_count_30d <= {times}"
