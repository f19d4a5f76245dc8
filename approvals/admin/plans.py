"""The page of a plan: every step on it, and one decision for the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.cache import never_cache
from unfold.decorators import display

from approvals.admin.forms import ActionForm, ApproveForm, RejectForm
from approvals.admin.opening import not_by_opening
from approvals.admin.review_actions import (
    APPROVE,
    REJECT,
    ReviewAction,
    asks_password,
    prove_by,
    show_password,
)
from approvals.admin.review_context import countdown, state_shown
from approvals.admin.scoped import ScopedRecords
from approvals.choices import State
from approvals.exceptions import ApprovalError
from approvals.inspection import reveal
from approvals.models import ActionRequest, Plan
from approvals.selectors.lines import history_line
from approvals.selectors.pauses import stop_of
from approvals.selectors.plan_view import PlanView
from approvals.selectors.plans import Standing
from approvals.selectors.request_view import RequestView
from approvals.selectors.requests import policy_decision_of
from approvals.selectors.review_snapshot import read_token, sign_token, snapshot_of
from approvals.selectors.viewer_permissions import ViewerPermissions, permissions_of
from approvals.selectors.visibility import sees_everything, visible_requests
from approvals.services.plans import approve_plan, reject_plan
from audit.lib import db_clock
from audit.selectors import first_events_of
from policies.models import User
from policies.team_names import spoken

_FORMS: dict[str, type[ActionForm]] = {APPROVE.name: ApproveForm, REJECT.name: RejectForm}
_STANDINGS = {
    Standing.OPEN: ("Waits for people", "open"),
    Standing.RUNNING: ("Being carried out", "good"),
    Standing.STOPPED: ("Stopped", "loud"),
    Standing.OVER: ("Over", "calm"),
}


@dataclass(frozen=True, slots=True)
class StepShown:
    """One step as the page shows it to its viewer."""

    view: RequestView
    permissions: ViewerPermissions
    state: dict[str, str]
    link: str  # to its own page; "" for whom it is not

    @property
    def request(self) -> ActionRequest:
        return self.view.request

    @property
    def has_changes(self) -> bool:
        reading = self.view.reading
        return reading is not None and any(change.is_changed for change in reading.changes)

    @property
    def is_pending(self) -> bool:
        return self.request.state == State.PENDING_APPROVAL


@admin.register(Plan)
class PlanAdmin(ScopedRecords):
    request_path = "steps"
    list_select_related: ClassVar[Any] = ("agent",)
    list_display = ("created_at", "what", "agent", "outcome", "stop_reason")
    list_display_links = ("created_at", "what")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Plan]:
        plans: QuerySet[Plan] = super(ScopedRecords, self).get_queryset(request)
        reader = cast(User, request.user)
        if sees_everything(reader):
            return plans
        steps = visible_requests(reader).filter(plan__isnull=False).order_by()
        return plans.filter(pk__in=steps.values("plan"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return super().get_search_results(request, queryset, search_term)[0].distinct(), False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may decide on a step opens its plan; membership says so, not a permission."""
        if super().has_view_permission(request, obj):
            return True
        return isinstance(obj, Plan) and self.get_queryset(request).filter(pk=obj.pk).exists()

    @display(description="intent")  # type: ignore[untyped-decorator]
    def what(self, plan: Plan) -> str:
        return reveal(plan.intent)

    def get_urls(self) -> list[URLPattern]:
        actions = [
            path(
                f"<path:object_id>/{action.slug}/",
                never_cache(self._view_of(action)),
                name=f"approvals_plan_{action.name}",
            )
            for action in (APPROVE, REJECT)
        ]
        return [*actions, *super().get_urls()]

    def _view_of(self, action: ReviewAction) -> Any:
        def view(request: HttpRequest, object_id: str) -> HttpResponseBase:
            return self.action_view(request, object_id, action=action)

        return view

    # --- The page -------------------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Every step with what it changes, and what the viewer may say to all of it."""
        return self._page(request, self.get_object(request, object_id))

    def _page(
        self,
        request: HttpRequest,
        plan: Plan,
        action: ReviewAction | None = None,
        form: ActionForm | None = None,
        *,
        problem: str = "",
        status: int = 200,
    ) -> HttpResponse:
        person, at = cast(User, request.user), db_clock.now_of_page()
        view = PlanView(plan)
        steps = self._steps(person, view, at=at)
        offered = {
            one.name: self._offer(
                request, plan, one, own, form if one is action else None, person, at=at
            )
            for one, own in _offered(steps)
        }
        deadline = min((s.request.decide_by for s in steps if s.request.decide_by), default=None)
        word, tone = _STANDINGS[view.standing]
        context = {
            **self.admin_site.each_context(request),
            "title": "Plan",
            "opts": self.opts,
            "plan": view,
            "state": {
                "word": plan.get_outcome_display().capitalize() if plan.outcome else word,
                "tone": tone,
            },
            "clock": countdown(deadline, at=at) if view.standing == Standing.OPEN else None,
            "steps": steps,
            "offered": offered,
            "own": [s.request.step for s in steps if s.is_pending and s.permissions.may_approve],
            "reason_needed": any(s.permissions.reason_needed for s in steps if s.is_pending),
            "needs": _needs(steps),
            "stop": next(filter(None, (stop_of(s.request) for s in steps if s.is_pending)), None),
            "problem": problem,
            "history": [history_line(event) for event in first_events_of(plan)],
        }
        return TemplateResponse(request, "approvals/plan.html", context, status=status)

    def _steps(self, person: User, view: PlanView, *, at: datetime) -> list[StepShown]:
        visible = set(visible_requests(person).filter(plan=view.plan).values_list("pk", flat=True))
        return [
            StepShown(
                step,
                permissions_of(
                    step.request,
                    person,
                    policy=policy_decision_of(step.request),
                    kind=step.kind,
                    at=at,
                ),
                state_shown(State(step.request.state)),
                reverse("review", args=[step.request.pk]) if step.request.pk in visible else "",
            )
            for step in view.steps
        ]

    def _offer(
        self,
        request: HttpRequest,
        plan: Plan,
        action: ReviewAction,
        own: Sequence[StepShown],
        typed: ActionForm | None,
        person: User,
        *,
        at: datetime,
    ) -> dict[str, Any]:
        """One form; its token says which steps, as they are on this very page."""
        seal = " ".join(
            sign_token(one.request, snapshot_of(one.request), user=person, at=at) for one in own
        )
        form = typed or _FORMS[action.name](
            None, auto_id=f"{action.name}-%s", initial={"seal": seal}
        )
        if typed is not None:
            form.data = {name: form.data.get(name) for name in form.data} | {"seal": seal}
        weightiest = max((one.request for one in own), key=lambda step: step.effective_tier)
        show_password(form, asks=asks_password(request, weightiest, action, at=at))
        url = reverse(f"admin:approvals_plan_{action.name}", args=[plan.pk])
        return {"name": action.name, "form": form, "url": url, "is_open": typed is not None}

    # --- Deciding -------------------------------------------------------------------------------

    def action_view(
        self, request: HttpRequest, object_id: str, *, action: ReviewAction
    ) -> HttpResponseBase:
        """Decide the plan, by POST alone."""
        page = reverse("admin:approvals_plan_change", args=[object_id])
        if not self.admin_site.has_permission(request):
            return redirect_to_login(page, reverse("admin:login"))
        plan = self.get_object(request, object_id)
        if request.method != "POST":
            return not_by_opening(request, page)
        form = _FORMS[action.name](request.POST, auto_id=f"{action.name}-%s")
        weightiest = max(PlanView(plan).steps, key=lambda step: step.request.effective_tier)
        if asks_password(request, weightiest.request, action, at=db_clock.now()):
            form.ask_password()
        if not form.is_valid() or not prove_by(request, form):
            return self._page(request, plan, action, form, status=422)
        try:
            sentence = _decide(plan, cast(User, request.user), action, form)
        except ApprovalError as refusal:
            return self._page(
                request, plan, action, form, problem=refusal.message, status=refusal.status
            )
        messages.success(request, sentence)
        return HttpResponseRedirect(page)


def _decide(plan: Plan, person: User, action: ReviewAction, form: ActionForm) -> str:
    seen = [read_token(token) for token in form.cleaned_data["seal"].split(" ") if token]
    if action is REJECT:
        reject_plan(plan.pk, decider=person, reviewed=seen, **form.said())
        return "Rejected: nothing of this plan is done."
    approve_plan(plan.pk, decider=person, reviewed=seen, proof=form.proof, **form.said())
    pending = plan.steps.exclude(state=State.APPROVED).exists()
    if pending:
        return "Your approval counts; others still have to say yes before anything is done."
    return "Approved. Countersign carries out the steps now, one after the other."


def _offered(steps: Sequence[StepShown]) -> Iterator[tuple[ReviewAction, list[StepShown]]]:
    """What the viewer may say, and to which steps."""
    own = [one for one in steps if one.is_pending and one.permissions.may_approve]
    if own and not any(one.permissions.gaps for one in own):
        yield APPROVE, own
    answering = [one for one in steps if one.is_pending and one.permissions.may_answer]
    if answering:
        yield REJECT, answering


def _needs(steps: Sequence[StepShown]) -> list[dict[str, Any]]:
    """Who must say yes, with the steps it is about."""
    return [
        {"step": one.request.step, "need": need, "who": need.who or spoken(need.group)}
        for one in steps
        for need in one.view.requirements
    ]
