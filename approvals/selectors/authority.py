"""On what grounds this person may decide this request, and how far its requirements are met."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from approvals.choices import FINAL_VERDICTS, DecisionVerdict
from approvals.exceptions import NotAuthorised
from approvals.models import ActionRequest, Decision, Requirement
from approvals.selectors.case import approved_today_by_person, case_of
from approvals.selectors.requests import decisions_of, requirements_of
from audit.lib import db_clock
from audit.lib.money import Money
from audit.lib.one_look import once_a_page
from policies.authority import Authority, Case, Refusal, deciders_for, may_decide
from policies.models import User
from policies.quorum import Approval, Progress, all_met, progress
from policies.verdicts import RequirementSpec

MANAGER = "manager"


def approval_of(decision: Decision, member_of: frozenset[str] = frozenset()) -> Approval:
    """One decision as the count of requirements sees it; see `decisions_of` for what is read.

    Whoever answered what was escalated to them counts for the group it was asked of. People count
    as who their accounts are now: two who turn out to be one are one.
    """
    group, requirement = decision.group, decision.requirement
    if requirement is not None and group not in requirement.spec.groups:
        group = requirement.group
    return Approval(
        person=decision.decider.person,
        group=group,
        on_behalf_of=delegator_of(decision),
        member_of=member_of,
        limit_checked=decision.limit_minor is not None or decision.amount_minor is None,
    )


def delegator_of(decision: Decision) -> str:
    """The person who delegated the authority, as their account is now; "" for one's own."""
    return decision.delegation.lender.person if decision.delegation else ""


def approvals_of(
    request: ActionRequest, requirements: Sequence[Requirement] | None = None
) -> list[Approval]:
    """The approvals of the current version, each counted for the role it was given in.

    `requirements` are `requirements_of(request)`, for who has them already.
    """
    asked = requirements_of(request) if requirements is None else requirements
    return counted(given_approvals(request), asked)


def counted(given: Sequence[Decision], asked: Sequence[Requirement]) -> list[Approval]:
    """These approvals (`given_approvals`) as the count of these requirements sees them."""
    roles = roles_of_people(given) if any(r.excludes for r in asked) else {}
    return [
        approval_of(
            d, roles.get(d.decider.person, frozenset()) | roles.get(delegator_of(d), frozenset())
        )
        for d in given
    ]


def given_approvals(request: ActionRequest) -> list[Decision]:
    """Who said yes to the current version, in order."""
    return [d for d in current_decisions(request) if d.verdict == DecisionVerdict.APPROVE]


def current_decisions(request: ActionRequest) -> list[Decision]:
    """What people said about the current version, in order."""
    return [d for d in decisions_of(request) if d.version == request.version]


def roles_of_people(decisions: Iterable[Decision]) -> dict[str, frozenset[str]]:
    """The roles that deciders and delegators hold now, with any of their accounts, by person."""
    people = {person for d in decisions for person in (d.decider.person, delegator_of(d)) if person}
    found: dict[str, set[str]] = {}
    held = User.objects.filter(person__in=people).exclude(groups=None)
    for person, role in held.values_list("person", "groups__name"):
        found.setdefault(person, set()).add(str(role))
    return {person: frozenset(roles) for person, roles in found.items()}


def progress_of(request: ActionRequest) -> list[Progress]:
    """How far each requirement of the current version is met, in order."""
    asked = requirements_of(request)
    return list(progress(tuple(r.spec for r in asked), approvals_of(request, asked)))


def is_settled(asked: Sequence[Requirement], given: Sequence[Decision]) -> bool:
    """Have people said yes, with these approvals, to everything these requirements ask for?"""
    return all_met([r.spec for r in asked], counted(given, asked))


@once_a_page
def people_decided(request: ActionRequest) -> frozenset[str]:
    """Who has decided on the current version, and on whose authority: neither does so again."""
    return people_in(d for d in current_decisions(request) if d.verdict in FINAL_VERDICTS)


def people_in(decisions: Iterable[Decision]) -> frozenset[str]:
    """Who decided and on whose authority: as they were called then, and as they are now."""
    return frozenset(
        person
        for d in decisions
        for person in (d.person, d.on_behalf_of, d.decider.person, delegator_of(d))
        if person
    )


def authorise(
    decider: User,
    request: ActionRequest,
    *,
    needs_limit: bool,
    at: datetime,
    amount: Money | None = None,
) -> tuple[Requirement, Authority]:
    """The open requirement this person may answer, and why they may. Raises NotAuthorised.

    Rejecting, asking and escalating need no limit: nobody needs authority over an amount to
    stop it. `amount` is what an edit leads to; the larger of the two counts. Their own authority
    goes before what is delegated to them, and a requirement nobody has met before one somebody has.
    """
    case = replace(case_of(request, at=at, edited_to=amount), decided=people_decided(request))
    requirements = requirements_of(request)
    given = approvals_of(request, requirements)
    specs = [requirement.spec for requirement in requirements]
    refusals: list[Refusal] = []
    found: list[tuple[Requirement, Authority]] = []
    states = zip(requirements, progress(specs, given), strict=True)
    for requirement, state in sorted(states, key=lambda pair: pair[1].met):
        if not state.open:
            continue
        for spec in ways_in(requirement):
            answer = may_decide(
                decider, case, spec if needs_limit else replace(spec, within_limit=False)
            )
            if isinstance(answer, Authority):
                answering = (requirement, decider, answer)
                if not _stands_in_for_two(request, requirements, given, answering):
                    found.append((requirement, answer))
                    break
                answer = Refusal(
                    "one_group_twice",
                    f"Two groups must agree, and {answer.group} has answered for one already.",
                )
            refusals.append(answer)
    if found:
        return _leaving_most_open(found, decider, case)
    if not refusals:
        raise NotAuthorised("Nothing here is open for you to decide.", code="nothing_open")
    worst = next((r for r in refusals if r.code != "not_in_group"), refusals[0])
    raise NotAuthorised(worst.message, code=worst.code)


def case_for_all(request: ActionRequest, *, at: datetime) -> Case:
    """The case to find people with, everybody's day in one query.

    Own authority only: what is delegated is the delegate's to take, not to be sent, and adds
    nobody, for its delegator could decide as well.
    """
    spent = approved_today_by_person(request.currency, now=at, excluding=request)
    return replace(
        case_of(request, at=at), spent_today=lambda user: spent.get(user.person, 0), at=None
    )


def ways_in(requirement: Requirement) -> list[RequirementSpec]:
    """The requirement as its groups may answer it, and as whom it was escalated to may."""
    spec = requirement.spec
    if requirement.escalated_to in ("", *spec.groups):
        return [spec]
    return [spec, replace(spec, group=requirement.escalated_to, alternatives=())]


def _leaving_most_open(
    found: list[tuple[Requirement, Authority]], decider: User, case: Case
) -> tuple[Requirement, Authority]:
    """Of several they may answer: one's own authority first, then what fewest others may answer."""
    own = [pair for pair in found if not pair[1].on_behalf_of] or found
    if len(own) == 1:
        return own[0]

    def others(pair: tuple[Requirement, Authority]) -> int:
        people = {u.person for spec in ways_in(pair[0]) for u in deciders_for(case, spec)}
        return len(people - {decider.person})

    return min(own, key=others)


def _stands_in_for_two(
    request: ActionRequest,
    requirements: list[Requirement],
    given: list[Approval],
    answering: tuple[Requirement, User, Authority],
) -> bool:
    """Would one role then count for two requirements, so that two groups become one?

    A group that is asked twice by name (in two stages) answers twice, by two people.
    """
    requirement, decider, authority = answering
    role_of = {d.decider.person: d.group for d in given_approvals(request)}
    role_of[decider.person] = authority.group
    specs = [one.spec for one in requirements]
    one_more = own_approval(requirement, decider, authority)
    asked_of: dict[str, str] = {}
    for spec, state in zip(specs, progress(specs, [*given, one_more]), strict=True):
        for role in {role_of[person] for person in state.by}:
            if asked_of.setdefault(role, spec.group) != spec.group:
                return True
    return False


def own_approval(requirement: Requirement, decider: User, authority: Authority) -> Approval:
    """What the count would see if they said yes to this requirement on these grounds."""
    group = authority.group if authority.group in requirement.spec.groups else requirement.group
    return Approval(decider.person, group, on_behalf_of=authority.on_behalf_of)


def may_conclude(person: User, request: ActionRequest) -> bool:
    """May this person start, sign off, resolve or propose undoing it?

    Whoever could decide on it (an amount aside), or a manager; never somebody who had a hand in
    it or whom its requirements keep out. This is not delegated: only one's own authority counts.
    """
    case = replace(case_of(request, at=db_clock.now()), at=None)
    asked = [requirement.spec for requirement in requirements_of(request)]
    groups = {group for spec in asked for group in spec.groups} | {MANAGER}
    kept_out = tuple(sorted({group for spec in asked for group in spec.excludes} - groups))
    return any(
        isinstance(
            may_decide(person, case, RequirementSpec(group=group, excludes=kept_out)), Authority
        )
        for group in sorted(groups)
    )
