"""Anything, in any order: the promises of the lifecycle hold after every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from approvals.choices import INTAKE, State
from approvals.exceptions import ApprovalError
from approvals.models import ActionRequest
from approvals.services import decide
from approvals.services.agent_replies import answer, withdraw
from approvals.services.deadlines import expire
from approvals.services.execute import execute
from approvals.services.undo import propose_undo
from approvals.services.verify import read_back
from audit.models import AuditEvent
from audit.verify import verify
from connectors.sandbox.server import Sandbox
from policies.models import User
from tests.approvals.make import (
    Cast,
    approve,
    approve_with_edits,
    ask,
    crm,
    look_at,
    make_access,
    make_cast,
    make_older,
    make_proof,
    make_request,
    reject,
)
from tests.approvals.story import assert_codes_tell_states
from tests.trials import trials

PEOPLE = ("owner", "otto", "oona", "sara", "fred", "ada")
OPERATORS = {"otto", "oona"}
GRAPH: dict[str, set[str]] = {}
for _transition in ActionRequest._meta.get_field("state").get_all_transitions(ActionRequest):  # type: ignore[union-attr]
    GRAPH.setdefault(str(_transition.source), set()).add(str(_transition.target))


class Lifecycle(RuleBasedStateMachine):
    """One house, some requests, and everybody doing what they like."""

    sandbox: Sandbox
    requests: Bundle[ActionRequest] = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self._rollback = transaction.atomic()
        self._rollback.__enter__()
        self.cast: Cast = make_cast()
        self.effects_before = len(self.sandbox.effects("all"))

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self._rollback.__exit__(None, None, None)

    def _try(self, attempt: Callable[[], object]) -> None:
        """A refusal is an answer; anything else is a bug."""
        try:
            attempt()
        except ApprovalError:
            return

    def _user(self, name: str) -> User:
        found: User = getattr(self.cast, name)
        return found

    @rule(target=requests, account=st.integers(2001, 2004), note=st.sampled_from("abc"))
    def propose(self, account: int, note: str) -> ActionRequest:
        params = crm(f"acct_{account}", notes=note)
        return make_request(self.cast.agent, params, action_type="crm.update")

    @rule(target=requests)
    def propose_access(self) -> ActionRequest:
        return make_access(self.cast)

    @rule(request=requests, name=st.sampled_from(PEOPLE))
    def approve(self, request: ActionRequest, name: str) -> None:
        self._try(lambda: approve(request, self._user(name)))

    @rule(request=requests, name=st.sampled_from(("otto", "oona", "sara")))
    def approve_and_execute(self, request: ActionRequest, name: str) -> None:
        self._try(lambda: approve(request, self._user(name)))
        execute(request.pk)

    @rule(request=requests, name=st.sampled_from(PEOPLE))
    def reject(self, request: ActionRequest, name: str) -> None:
        self._try(lambda: reject(request, self._user(name)))

    @rule(request=requests, name=st.sampled_from(PEOPLE))
    def ask(self, request: ActionRequest, name: str) -> None:
        self._try(lambda: ask(request, self._user(name)))

    @rule(request=requests, name=st.sampled_from(PEOPLE))
    def escalate(self, request: ActionRequest, name: str) -> None:
        user = self._user(name)
        self._try(
            lambda: decide.escalate(
                request.pk, decider=user, reviewed=look_at(request, user), reason="not sure"
            )
        )

    @rule(request=requests, name=st.sampled_from(PEOPLE), note=st.sampled_from("xyz"))
    def edit(self, request: ActionRequest, name: str, note: str) -> None:
        user = self._user(name)
        if request.action_type != "crm.update":
            return
        self._try(
            lambda: approve_with_edits(
                request.pk,
                decider=user,
                reviewed=look_at(request, user),
                params=crm(request.target.removeprefix("account "), notes=note),
                reason_code="corrected",
                proof=make_proof(user),
            )
        )

    @rule(request=requests)
    def answer(self, request: ActionRequest) -> None:
        self._try(lambda: answer(request.pk, agent=self.cast.agent, body="ord_3001"))

    @rule(request=requests)
    def withdraw(self, request: ActionRequest) -> None:
        self._try(lambda: withdraw(request.pk, agent=self.cast.agent))

    @rule(request=requests, hours=st.sampled_from((1, 9, 30)))
    def let_time_pass(self, request: ActionRequest, hours: int) -> None:
        make_older(request, timedelta(hours=hours))
        expire(request.pk)

    @rule(request=requests)
    def execute(self, request: ActionRequest) -> None:
        execute(request.pk)

    @rule(request=requests)
    def read_back(self, request: ActionRequest) -> None:
        read_back(request.pk)

    @rule(target=requests, request=consumes(requests))
    def undo(self, request: ActionRequest) -> ActionRequest:
        try:
            return propose_undo(request.pk).request
        except ApprovalError:
            return request

    @invariant()
    def every_move_is_one_of_the_graph_with_its_event_and_its_row(self) -> None:
        for request in ActionRequest.objects.all():
            events = AuditEvent.objects.filter(subject_id=str(request.pk)).order_by("seq")
            told = squeezed(events.values_list("state", flat=True))
            rows = squeezed(request.history.order_by("history_id").values_list("state", flat=True))
            assert told == rows
            assert told[0] == State.REQUESTED
            assert told[-1] == request.state
            assert_codes_tell_states(events)
            assert all(target in GRAPH[source] for source, target in pairwise(told))

    @invariant()
    def the_world_changed_as_often_as_something_was_executed(self) -> None:
        executed = AuditEvent.objects.filter(code="request.executed").count()
        begun = AuditEvent.objects.filter(code="request.execution_begun").count()
        assert len(self.sandbox.effects("all")) - self.effects_before == executed == begun

    @invariant()
    def nothing_is_approved_without_distinct_people_who_may(self) -> None:
        past = set(State.values) - set(INTAKE) - {"pending_approval", "changes_requested"}
        for request in ActionRequest.objects.filter(state__in=past, grants__isnull=False):
            for grant in request.grants.all():
                given = request.decisions.filter(version=grant.version, verdict="approve")
                people = sorted(given.values_list("person", flat=True))
                editors = request.contents.exclude(edited_by=None)
                assert people == grant.approvers
                assert len(people) == len(set(people))
                assert "olga" not in people
                assert not set(people) & set(editors.values_list("edited_by__person", flat=True))
                assert set(people) <= OPERATORS | {"sara"}
                assert set(people) & OPERATORS
                if request.action_type.startswith("access."):
                    assert "sara" in people

    @invariant()
    def one_grant_at_most_is_usable_and_only_while_approved(self) -> None:
        for request in ActionRequest.objects.all():
            usable = request.grants.filter(consumed_at=None, revoked_at=None).count()
            assert usable == (request.state == State.APPROVED)

    @invariant()
    def the_trail_is_whole(self) -> None:
        assert verify().problem is None


def squeezed(states: Iterator[str]) -> list[str]:
    """Without the events that moved nothing."""
    found: list[str] = []
    for state in states:
        if not found or found[-1] != state:
            found.append(state)
    return found


@pytest.fixture
def running(sandbox: Sandbox) -> Sandbox:
    Lifecycle.sandbox = sandbox
    return sandbox


@pytest.mark.django_db
def test_whatever_people_and_agents_do_the_promises_hold(running: Sandbox) -> None:
    run_state_machine_as_test(
        Lifecycle,
        settings=settings(
            max_examples=trials(6),
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
