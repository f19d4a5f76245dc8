"""An agent that proposes and people who approve what they were shown, through the services.

In this process, which outlives whatever is killed: a call that meets a dead database is made again.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from approvals.choices import State
from approvals.exceptions import ApprovalError, EvidenceMissing
from approvals.models import ActionRequest, Agent, Requirement
from approvals.selectors.review_snapshot import read_token, sign_token, snapshot_of
from approvals.services.decide import approve
from approvals.services.evidence import read_again
from approvals.services.propose import propose
from audit.lib import db_clock
from connectors.authentication.encryption import encrypt
from connectors.authentication.login import login_of
from connectors.connections import route_of
from connectors.models import ConnectionToken
from connectors.registry import action_types
from policies.models import User
from tests.approvals.make import (
    fresh,
    make_agent,
    make_house,
    make_limit,
    make_person,
    make_proof,
    make_proposal,
    said,
    ticked,
)
from tests.faults.soak.actions import Planned
from tests.faults.soak.policy import POLICY
from tests.policies.make import put_in_force
from tests.vendors.catalogue import VENDORS

AT_WORK = 48
"""How many requests are between proposal and end at a time: enough for every kill to meet some."""

PEOPLE = {"operations": "otto", "security": "sara", "manager": "mona", "finance": "fred"}
_OPEN = (
    State.REQUESTED,
    State.CLASSIFIED,
    State.EVIDENCE_COLLECTED,
    State.POLICY_CHECKED,
    State.PENDING_APPROVAL,
    State.APPROVED,
    State.EXECUTING,
    State.EXECUTED,
)


def furnish() -> None:
    """Policy, people with limits, an agent that may propose everything, tokens at hand."""
    make_house()
    author, publisher = make_person("ada", "ops admin"), make_person("alan", "ops admin")
    for group, name in PEOPLE.items():
        person = make_person(name, group)
        for currency in ("EUR", "USD"):
            make_limit(person, "1000000.00", currency=currency)
    put_in_force(POLICY, author=author, publisher=publisher)
    make_agent(make_person("olga", "agent owner"), name="soak")
    for vendor in VENDORS.values():
        card = vendor.file.card
        kind = next(one for one in action_types() if one.system == vendor.name)
        route = route_of(kind.key, vendor.name)
        assert route is not None, f"{vendor.name} is not configured"
        if card.authentication.scheme.has_tokens:
            ConnectionToken.objects.create(
                name=route.name,
                identity=login_of(card, route).identity,
                access_token=encrypt(vendor.double.credential),
                expires_at=db_clock.now() + timedelta(days=7),
            )


class Load:
    """Two threads: one proposes the planned actions, one decides; `stop` ends both."""

    def __init__(self, actions: Iterable[Planned]) -> None:
        self._actions = list(actions)
        self._stopping = threading.Event()
        self._agent = Agent.objects.get(name="soak")
        self._people = {g: User.objects.get(username=name) for g, name in PEOPLE.items()}
        self.accepted: dict[UUID, Planned] = {}
        self.shown: dict[tuple[UUID, int], tuple[str, str]] = {}
        """By request and version: the action on the page that was approved, and its digest."""
        self.refusals: Counter[str] = Counter()
        self.approvals = 0
        self.errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._until_told, args=(work,), name=name, daemon=True)
            for name, work in (("agent", self._propose_all), ("people", self._decide_all))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self.demand_no_error()

    def demand_no_error(self) -> None:
        if self.errors:
            raise self.errors[0]

    @property
    def has_proposed_everything(self) -> bool:
        return len(self.accepted) == len(self._actions)

    def on_their_way(self) -> Counter[str]:
        """By state, what is neither done nor with people, and 1 action per one not proposed yet."""
        left: Counter[str] = Counter()
        missing = len(self._actions) - len(self.accepted)
        if missing:
            left["not proposed"] = missing
        try:
            close_old_connections()
            left.update(
                ActionRequest.objects.filter(state__in=_OPEN).values_list("state", flat=True)
            )
        except (DatabaseError, InterfaceError):
            left["database away"] = 1
        return left

    def _until_told(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # raised again in the thread that reports
            self.errors.append(error)
        finally:
            connection.close()

    def _propose_all(self) -> None:
        for action in self._actions:
            while not self._stopping.is_set():
                try:
                    close_old_connections()
                    if ActionRequest.objects.filter(state__in=_OPEN).count() >= AT_WORK:
                        time.sleep(0.2)
                        continue
                    self._propose(action)
                    break
                except (DatabaseError, InterfaceError) as error:
                    self._meet(error, "proposal")
                except ApprovalError as error:
                    if error.code not in _MAY_PASS:
                        raise
                    self._meet(error, "proposal")
            if self._stopping.is_set():
                return

    def _propose(self, action: Planned) -> None:
        evidence = tuple(said(kind) for kind in ("risk_analysis", "test_result"))
        proposal = make_proposal(
            action.params,
            action_type=action.kind.key,
            intent=f"Case {action.number} of the soak.",
            evidence=evidence,
        )
        proposed = propose(proposal, agent=self._agent, idempotency_key=f"soak-{action.number}")
        self.accepted[proposed.request.pk] = action

    def _decide_all(self) -> None:
        while not self._stopping.is_set():
            try:
                close_old_connections()
                waiting = list(
                    Requirement.objects.filter(
                        is_open=True, request__state=State.PENDING_APPROVAL
                    ).values_list("request_id", "group")[:60]
                )
                for request_id, group in waiting:
                    self._decide(request_id, self._people[group])
            except (DatabaseError, InterfaceError) as error:
                self._meet(error, "decision")
            time.sleep(0.2)

    def _decide(self, request_id: UUID, person: User) -> None:
        """As the page does it: what is rendered now is what the decision is bound to."""
        request = fresh(ActionRequest(pk=request_id))
        snapshot = snapshot_of(request)
        token = sign_token(request, snapshot, user=person, at=db_clock.now())
        try:
            approve(
                request_id,
                decider=person,
                reviewed=read_token(token, ticked(request)),
                reason_code="as_proposed",
                comment="Fine.",
                proof=make_proof(person),
            )
        except EvidenceMissing as error:
            self.refusals[f"{error.code} to a decision"] += 1
            with suppress(ApprovalError):  # somebody else's read was faster
                read_again(request_id, person=person, reviewed=read_token(token))
            return
        except ApprovalError as error:
            self.refusals[f"{error.code} to a decision"] += 1
            return
        page: dict[str, Any] = json.loads(snapshot.body)
        self.shown[request_id, request.version] = (page["action"], page["digest"])
        self.approvals += 1

    def _meet(self, error: Exception, what: str) -> None:
        self.refusals[f"{getattr(error, 'code', type(error).__name__)} to a {what}"] += 1
        connection.close()
        time.sleep(0.5)


_MAY_PASS = frozenset({"still_running", "busy"})
