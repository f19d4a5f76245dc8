"""Plain functions that make what tests of the lifecycle need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from django.db.models import F

import policies
from approvals.domain.derivation import derive
from approvals.domain.intake import NewRequest
from approvals.models import ActionRequest, Agent, Decision, Grant, Plan
from approvals.proposal import PlanProposal, Proposal, SuppliedEvidence
from approvals.selectors.facts_to_confirm import facts_to_confirm
from approvals.selectors.requests import policy_decision_of
from approvals.selectors.review_snapshot import (
    ReviewedSnapshot,
    read_token,
    sign_token,
    snapshot_of,
)
from approvals.services import agents, decide
from approvals.services import edit as edits
from approvals.services.evidence import supply_evidence
from approvals.services.plans import propose_plan
from approvals.services.propose import _store, propose
from audit.actors import Actor
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.lib.money import Money
from connectors.registry import action_types
from policies.models import ApprovalLimit, Reauthentication, Team, User
from policies.services import limits, people, roles, teams, versions
from tests.database import triggers_off
from tests.policies.make import put_in_force

INSTALLER = Actor.system("installation")
PASSWORD = "correct horse battery staple"
SHIPPED_POLICY = (Path(policies.__file__).parent / "default.yaml").read_text()
DEFAULT_POLICY = SHIPPED_POLICY.replace("recall_seconds: 10", "recall_seconds: 0")
"""The default policy without the seconds in which approvals of money can be taken back: stories
about carrying out do not wait for them. `SHIPPED_POLICY` has them."""
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Cast:
    """The people of most stories. `villain` may do nothing: each test says why."""

    owner: User
    mona: User  # manager, up to 1,000.00 EUR
    max: User  # manager, up to 1,000.00 EUR
    fred: User  # finance, up to 1,000.00 EUR
    otto: User  # operations
    oona: User  # operations
    sara: User  # security
    ada: User  # ops admin
    alan: User  # ops admin
    agent: Agent


def make_house(policy: str = DEFAULT_POLICY) -> None:
    """Roles and the default policy: what every deployment starts with, without time to recall."""
    roles.sync_roles(actor=INSTALLER)
    with TemporaryDirectory() as folder:
        source = Path(folder, "default.yaml")
        source.write_text(policy)
        versions.install_default(actor=INSTALLER, source=source)


def make_cast(policy: str = DEFAULT_POLICY) -> Cast:
    """A house with people in it and an agent."""
    make_house(policy)
    owner = make_person("olga", "agent owner")
    cast = Cast(
        owner=owner,
        mona=make_person("mona", "manager"),
        max=make_person("max", "manager"),
        fred=make_person("fred", "finance"),
        otto=make_person("otto", "operations"),
        oona=make_person("oona", "operations"),
        sara=make_person("sara", "security"),
        ada=make_person("ada", "ops admin"),
        alan=make_person("alan", "ops admin"),
        agent=make_agent(owner),
    )
    for user in (cast.mona, cast.max, cast.fred):
        make_limit(user, "1000.00")
    return cast


def make_person(name: str, *groups: str, person: str = "", **fields: Any) -> User:
    """An active account in those roles."""
    return people.create_user(
        username=name,
        email=f"{name}@retailer.example",
        password=PASSWORD,
        roles=groups,
        person=person or name,
        actor=INSTALLER,
        **fields,
    )


def make_limit(
    user: User,
    each: str,
    *,
    action_type: str = "*",
    currency: str = "EUR",
    per_day: str | None = None,
) -> ApprovalLimit:
    """The person may approve up to `each` of any kind of action, `per_day` in 24 hours."""
    return limits.set_limit(
        user_id=user.pk,
        action_type=action_type,
        currency=currency,
        each_minor=Money.parse(each, currency).minor,
        per_day_minor=Money.parse(per_day, currency).minor if per_day else None,
        actor=INSTALLER,
        reason="test",
    )


def make_agent(owner: User, name: str = "refund-bot", **fields: Any) -> Agent:
    """An agent that may propose everything, and has authority of its own."""
    values: dict[str, Any] = {
        "team": "support",
        "ceiling": Money.parse("1000000.00", "EUR"),
        "action_types": [kind.key for kind in action_types()],
        **fields,
    }
    return agents.register_agent(name=name, owner=owner, actor=INSTALLER, **values)


def make_key(agent: Agent) -> str:
    """A key that works, in clear."""
    return agents.issue_key(agent.pk, actor=INSTALLER, lifetime=timedelta(days=1)).secret


def make_team(code: str = "dispatch", *members: User, escalates_to: str = "operations") -> Team:
    """A team of this company, as installation makes one: with its members at once."""
    return teams.create_team(
        actor=INSTALLER,
        code=code,
        name=code.capitalize(),
        escalates_to=escalates_to,
        members=[user.pk for user in members],
    )


def ask_of_records(author: User, publisher: User, requirement: str) -> None:
    """Publish the default policy, where changes to records ask this instead of operations."""
    before = "      - {{group: {}}}\n  - id: enterprise-deal-won"
    old = before.format("operations")
    new = before.replace("{{group: {}}}", requirement)
    text = DEFAULT_POLICY[: DEFAULT_POLICY.index("\ntests:\n")] + "\n"
    assert old in text
    put_in_force(text.replace(old, new, 1), author=author, publisher=publisher)


def publish(cast: Cast, *replacements: tuple[str, str]) -> None:
    """Publish the default policy with each replacement made in its first place, tests left out."""
    text = DEFAULT_POLICY[: DEFAULT_POLICY.index("\ntests:\n")] + "\n"
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new, 1)
    put_in_force(text, author=cast.ada, publisher=cast.alan)


def refund(charge: str = "ch_1002", amount: str = "180.00", **params: str) -> JsonObject:
    """Params of a refund."""
    return {
        "charge": charge,
        "amount": amount,
        "currency": "EUR",
        "reason": "damaged on arrival",
        **params,
    }


def manager_refund(amount: str = "800.00") -> JsonObject:
    """Params of a refund that one manager decides."""
    return refund("ch_1001", amount)


def crm(record: str = "acct_2001", **fields: str) -> JsonObject:
    """Params of a change to a customer record."""
    return {"record": record, "fields": fields or {"stage": "won"}}


ACCESS: JsonObject = {"user": "mia.keller", "group": "crm-editors", "until": "2030-12-31"}
ROBOT: JsonObject = {"robot": "robot-1", "task": "pick", "zone": "A"}


def said(kind: str, text: str = "Looked at, and nothing speaks against it.") -> SuppliedEvidence:
    """Evidence somebody supplies."""
    return SuppliedEvidence(kind=kind, title=kind.replace("_", " ").capitalize(), excerpt=text)


SUPPLIED: dict[str, tuple[SuppliedEvidence, ...]] = {
    "access.grant": (said("risk_analysis"),),
    "access.revoke": (said("risk_analysis"),),
    "config.change": (said("risk_analysis"), said("test_result")),
    "robot.run": (said("manual_override"),),
}
"""What an agent that knows the default policy sends with its proposal."""


def supply(request: ActionRequest, person: User, kind: str = "hazard_check") -> None:
    """A colleague, who then does not decide, supplies what an agent cannot."""
    reviewed = look_at(request, person)
    supply_evidence(request.pk, person=person, reviewed=reviewed, evidence=said(kind))


def make_proposal(
    params: JsonObject | None = None,
    *,
    action_type: str = "refund.issue",
    intent: str = "The customer sent a photo of the broken item.",
    evidence: tuple[SuppliedEvidence, ...] | None = None,
    said: JsonObject | None = None,
    **fields: Any,
) -> Proposal:
    """A proposal as the API would build it; `said` are further keys of its body."""
    params = refund() if params is None else params
    return Proposal(
        action_type=action_type,
        params=params,
        body={"action_type": action_type, "params": params, "intent": intent, **(said or {})},
        intent=intent,
        evidence=SUPPLIED.get(action_type, ()) if evidence is None else evidence,
        **fields,
    )


def make_request(agent: Agent, params: JsonObject | None = None, **fields: Any) -> ActionRequest:
    """A proposed request, as far as intake carries it."""
    key = f"key-{next(_numbers)}"
    return propose(make_proposal(params, **fields), agent=agent, idempotency_key=key).request


def make_plan(
    agent: Agent, *actions: tuple[str, JsonObject], key: str = "", intent: str = "The deal is won."
) -> Plan:
    """A plan of these actions, by type and params, as far as intake carries its steps."""
    steps = tuple(make_proposal(params, action_type=kind) for kind, params in actions)
    body: JsonObject = {"intent": intent, "steps": [step.body for step in steps]}
    proposal = PlanProposal(intent=intent, steps=steps, body=body)
    key = key or f"plan-{next(_numbers)}"
    return propose_plan(proposal, agent=agent, idempotency_key=key).plan


def half_open(cast: Cast, proposed: JsonObject | None = None, **fields: object) -> ActionRequest:
    """A request whose process died between the two halves of intake."""
    proposal = make_proposal(proposed)
    candidate = replace(derive(proposal, agent=cast.agent), **fields)  # type: ignore[arg-type]
    return _store(NewRequest(candidate, proposal, "crashed"))


def make_crm(cast: Cast, **fields: str) -> ActionRequest:
    """A record change that waits for operations."""
    return make_request(cast.agent, crm(**fields), action_type="crm.update")


def make_access(cast: Cast) -> ActionRequest:
    """An access change that waits for security and operations."""
    return make_request(cast.agent, ACCESS, action_type="access.grant")


def look_at(request: ActionRequest, user: User) -> ReviewedSnapshot:
    """What a person's form carries after the page was rendered for them now."""
    return read_token(token_for(request, user), ticked(request))


def ticked(request: ActionRequest) -> list[str]:
    """Everything that made policy ask, as a careful reviewer ticks it."""
    policy = policy_decision_of(fresh(request))
    return [fact.key for fact in facts_to_confirm(policy)] if policy else []


def token_for(request: ActionRequest, user: User) -> str:
    """The token in the form of a page rendered for the person now."""
    request = fresh(request)
    return sign_token(request, snapshot_of(request), user=user, at=db_clock.now())


def approve(request: ActionRequest, *users: User) -> Decision:
    """Each of them looks at it and says yes. Returns the last decision."""
    for user in users:
        decision = decide.approve(
            request.pk,
            decider=user,
            reviewed=look_at(request, user),
            reason_code="as_proposed",
            proof=make_proof(user),
        )
    return decision


def foreseeing(
    request: ActionRequest, user: User, params: JsonObject, **said: str
) -> ReviewedSnapshot:
    """What the person holds who was shown what would come of that edit."""
    reviewed = look_at(request, user)
    said = {"reason_code": "corrected", **said}
    shown = edits.foresee_edit(request.pk, decider=user, reviewed=reviewed, params=params, **said)
    return replace(reviewed, foreseen=shown.digest)


def approve_with_edits(
    request_id: UUID,
    *,
    decider: User,
    reviewed: ReviewedSnapshot,
    params: JsonObject,
    reason_code: str,
    comment: str = "",
    proof: int | None = None,
) -> Decision:
    """Look at what would come of the edit, then make it."""
    said: dict[str, Any] = {"params": params, "reason_code": reason_code, "comment": comment}
    shown = edits.foresee_edit(request_id, decider=decider, reviewed=reviewed, **said)
    return edits.approve_with_edits(
        request_id,
        decider=decider,
        reviewed=replace(reviewed, foreseen=shown.digest),
        proof=proof,
        **said,
    )


def make_proof(user: User) -> int:
    """They have just typed their password; for what weighs most."""
    return Reauthentication.objects.create(user=user, method="password", at=db_clock.now()).pk


def reject(request: ActionRequest, user: User) -> Decision:
    """They look at it and say no."""
    return decide.reject(
        request.pk, decider=user, reviewed=look_at(request, user), reason_code="not_justified"
    )


def ask(request: ActionRequest, user: User) -> Decision:
    """They look at it and want to know more."""
    return decide.request_changes(
        request.pk, decider=user, reviewed=look_at(request, user), question="Which order was it?"
    )


def fresh(request: ActionRequest) -> ActionRequest:
    """The row as the database has it."""
    return ActionRequest.objects.select_related("agent").get(pk=request.pk)


def make_older(request: ActionRequest, by: timedelta) -> None:
    """Let that much time pass for the request: its clocks and its grant."""
    deadlines = (
        *("decide_by", "answer_by", "execute_by"),
        *("clock_started_at", "clock_stopped_at", "next_step_at"),
    )
    with triggers_off():
        ActionRequest.objects.filter(pk=request.pk).update(**{c: F(c) - by for c in deadlines})
        Grant.objects.filter(request=request).update(expires_at=F("expires_at") - by)
