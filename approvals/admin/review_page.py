"""The review page: shown by GET; each action on it is a POST to an address of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from dataclasses import asdict
from typing import Any, Self, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from approvals.admin.forms import PASSWORD, ActionForm
from approvals.admin.opening import is_ahead_of_time, not_by_opening
from approvals.admin.review_actions import (
    REVIEW_ACTIONS,
    Outcome,
    ReviewAction,
    asks_password,
    looks_first,
    prove_by,
)
from approvals.admin.review_context import Answered, review_context
from approvals.admin.scoped import as_uuid
from approvals.choices import State
from approvals.domain import integrity
from approvals.exceptions import ApprovalError, EditNotForeseen, IntegrityBroken, InvalidProposal
from approvals.models import ActionRequest, IntegrityIncident
from approvals.selectors.break_glass import open_for_break_glass
from approvals.selectors.inbox import inbox_name, inboxes_of, requests_of
from approvals.selectors.inbox_counts import forget_counts
from approvals.selectors.inbox_place import place_of
from approvals.selectors.live import live_state_of
from approvals.selectors.request_view import RequestView, for_review
from approvals.services.live_check import live_check
from audit.actors import Actor
from audit.lib import db_clock
from audit.lib.admin import ReadOnlyAdmin
from policies.models import User


class ReviewPageAdmin(ReadOnlyAdmin):
    """One team's requests, each with its page. Membership opens it; permissions do not.

    The page only reads. Each action has an address of its own that takes POST and nothing else,
    so that neither a prefetch nor a link ever decides.
    """

    team = ""
    """Whose inbox; the page that is registered is nobody's, `of` makes it a team's."""

    def of(self, team: str) -> Self:
        """The same page as this team's inbox."""
        inbox = copy(self)
        inbox.team = team
        return inbox

    def name_for(self, request: HttpRequest) -> str:
        return inbox_name(self.team, viewer=cast(User, request.user))

    # --- Who comes in ---------------------------------------------------------------------------

    def is_member(self, request: HttpRequest) -> bool:
        """Is the signed-in account in this team? The database is asked once a request."""
        teams = getattr(request, "countersign_teams", None)
        if teams is None:
            user = request.user
            teams = inboxes_of(user) if isinstance(user, User) else ()
            request.countersign_teams = teams  # type: ignore[attr-defined]
        return self.team in teams

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return self.is_member(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.is_member(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """What the team was ever asked about; nothing for anybody else."""
        return requests_of(self.team, self.for_members(request))

    def for_members(self, request: HttpRequest) -> QuerySet[Any]:
        """Every request for the team's members, none for anybody else."""
        requests: QuerySet[Any] = super().get_queryset(request)
        return requests if self.is_member(request) else requests.none()

    def fetch(self, request: HttpRequest, object_id: str) -> ActionRequest:
        """The request, if it is this team's. Another team's does not exist here."""
        if not self.admin_site.has_permission(request):
            raise PermissionDenied
        request_id = as_uuid(object_id)
        if request_id is None:
            raise Http404
        # concrete, not the inbox's proxy, which would write its history somewhere else
        this = ActionRequest.objects.filter(pk=request_id)
        found = (
            for_review(requests_of(self.team, this)).first() if self.is_member(request) else None
        )
        # whoever may use break-glass opens what waits, whichever team is asked
        found = found or for_review(open_for_break_glass(cast(User, request.user)) & this).first()
        if found is None:
            raise Http404
        return found

    # --- Addresses ------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """To the reader's first inbox; each has its own, where the site puts `team_urls`."""
        to_first = self.admin_site.admin_view(require_safe(self.to_first_inbox))
        return [path("", to_first, name="approvals_inbox_changelist")]

    def team_urls(self) -> list[URLPattern]:
        """The addresses of a team's inbox, under one that names the `team`."""

        def page(name: str) -> Callable[..., HttpResponseBase]:
            return self.admin_site.admin_view(require_safe(self._view_of_team(name)))

        actions = [
            path(
                f"<path:object_id>/{action.slug}/",
                never_cache(self._view_of_team("action_view", action=action)),
                name=f"inbox_{action.name}",
            )
            for action in REVIEW_ACTIONS
        ]
        return [
            path("", page("changelist_view"), name="inbox"),
            *actions,
            path("<path:object_id>/target/", page("target_view"), name="inbox_target"),
            path("<path:object_id>/technical/", page("technical_view"), name="inbox_technical"),
            path("<path:object_id>/change/", page("change_view"), name="inbox_request"),
            path("<path:object_id>/state/", page("state_view"), name="inbox_state"),
            path("<path:object_id>/", page("to_change_view"), name="inbox_case"),
        ]

    def _view_of_team(self, name: str, **options: Any) -> Callable[..., HttpResponseBase]:
        def view(request: HttpRequest, team: str, **parts: str) -> HttpResponseBase:
            answer: HttpResponseBase = getattr(self.of(team), name)(request, **parts, **options)
            return answer

        return view

    def to_first_inbox(self, request: HttpRequest) -> HttpResponse:
        inboxes = inboxes_of(cast(User, request.user))
        if not inboxes:
            raise PermissionDenied
        return HttpResponseRedirect(self.of(inboxes[0]).list_url)

    def to_change_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The row's address without a page, as Django's admin has it."""
        if as_uuid(object_id) is None:
            raise Http404
        return HttpResponseRedirect(f"{request.path}change/")

    def state_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Where it stands right now, in JSON: what a page that follows it asks for again and again.

        It answers at once whatever is going on; nobody's thread waits for anything.
        """
        found = self.fetch(request, object_id)
        now = live_state_of(found, cast(User, request.user), at=db_clock.now_of_page())
        answer = JsonResponse(asdict(now))
        add_never_cache_headers(answer)
        return answer

    @property
    def list_url(self) -> str:
        return reverse("admin:inbox", args=[self.team])

    def review_url(self, request_id: UUID) -> str:
        return reverse("admin:inbox_request", args=[self.team, request_id])

    def _action_urls(self, request_id: UUID) -> dict[str, str]:
        own = [self.team, request_id]
        return {
            action.name: reverse(f"admin:inbox_{action.name}", args=own)
            for action in REVIEW_ACTIONS
        }

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The review page.

        A browser may fetch it before it is opened: nothing is written by that, and what is to be
        told once is kept for when it is opened.
        """
        if is_ahead_of_time(request) and len(messages.get_messages(request)):
            return HttpResponse(status=503)
        return self._page(request, self.fetch(request, object_id))

    def target_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Whether the target is still as the page shows it; a part of the page, or one of its own.

        Nothing changes by it.
        """
        found = self.fetch(request, object_id)
        if found.state != State.PENDING_APPROVAL:
            raise Http404
        try:
            check = live_check(found.pk)
        except IntegrityBroken:
            raise Http404 from None  # the page itself says what is wrong
        return self._part(request, found, "approvals/live.html", {"check": check})

    def technical_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Every rule, clause by clause, the schema and the digests: read when somebody opens it."""
        found = self.fetch(request, object_id)
        view = RequestView(found)
        schema = json.dumps(view.kind.schema, indent=2) if view.kind else ""
        parts = {"action_request": found, "case": view, "schema": schema}
        return self._part(request, found, "approvals/technical.html", parts)

    def _part(
        self, request: HttpRequest, found: ActionRequest, template: str, values: dict[str, Any]
    ) -> HttpResponse:
        is_fragment = request.headers.get("X-Requested-With") == "fetch"
        context = {} if is_fragment else self.admin_site.each_context(request)
        context |= {"fragment": is_fragment, "back": self.review_url(found.pk), "title": "Request"}
        return TemplateResponse(request, template, context | values)

    def action_view(
        self, request: HttpRequest, object_id: str, *, action: ReviewAction
    ) -> HttpResponseBase:
        """Take one action, by POST alone, and go on to where it leads."""
        request_id = as_uuid(object_id)
        if request_id is None:
            raise Http404
        if not self.admin_site.has_permission(request):
            # Back to the page, not to this address, which answers no GET.
            return redirect_to_login(self.review_url(request_id), reverse("admin:login"))
        if request.method != "POST":
            return not_by_opening(request, self.review_url(request_id))
        return self._answer(request, self.fetch(request, object_id), action)

    # --- One action -----------------------------------------------------------------------------

    def _answer(
        self, request: HttpRequest, action_request: ActionRequest, action: ReviewAction
    ) -> HttpResponse:
        """Make the action's one service call; refused, nothing that was typed is lost."""
        person = cast(User, request.user)
        form: ActionForm | None = None
        try:
            form = action.make_form(action_request, request.POST, "")
            is_look = looks_first(action, form)
            if not is_look and asks_password(request, action_request, action, at=db_clock.now()):
                form.ask_password()
            if not form.is_valid() or not prove_by(request, form):
                return self._unfinished(request, action_request, action, form)
            if is_look:
                return self._foreseen(request, action_request, action, form)
            outcome = action.send(action_request, person, form)
        except EditNotForeseen:
            assert form is not None  # noqa: S101 - narrows for the type checker
            return self._foreseen(request, action_request, action, form, is_new=True)
        except ApprovalError as refusal:
            return self._refused(request, action_request, action, form, refusal)
        forget_counts(self.team, viewer=person)
        # the page that comes next follows the case: see templates/unfold/helpers/messages.html
        case_url = reverse("admin:inbox_case", args=[self.team, action_request.pk])
        messages.success(request, outcome.sentence, extra_tags=f"toast {case_url}")
        return HttpResponseRedirect(self._onwards(person, action_request, outcome))

    def _unfinished(
        self,
        request: HttpRequest,
        action_request: ActionRequest,
        action: ReviewAction,
        form: ActionForm,
    ) -> HttpResponse:
        if action.foresee is not None and set(form.errors) == {PASSWORD}:
            return self._foreseen(request, action_request, action, form, status=422)
        if action.keeps_form:
            return self._page(request, action_request, Answered(action, form), status=422)
        for problems in form.errors.values():
            messages.error(request, " ".join(str(problem) for problem in problems))
        return HttpResponseRedirect(self.review_url(action_request.pk))

    def _foreseen(
        self,
        request: HttpRequest,
        action_request: ActionRequest,
        action: ReviewAction,
        form: ActionForm,
        *,
        is_new: bool = False,
        status: int = 200,
    ) -> HttpResponse:
        """The page with what would come of it, to be sent from there. Nothing has happened."""
        assert action.foresee is not None  # noqa: S101 - narrows for the type checker
        try:
            foreseen = action.foresee(action_request, cast(User, request.user), form)
        except ApprovalError as refusal:
            return self._refused(request, action_request, action, form, refusal)
        anew = for_review(ActionRequest.objects.filter(pk=action_request.pk)).get()
        answered = Answered(action, form, foreseen=foreseen, is_new=is_new)
        return self._page(request, anew, answered, status=status)

    def _refused(
        self,
        request: HttpRequest,
        action_request: ActionRequest,
        action: ReviewAction,
        form: ActionForm | None,
        refusal: ApprovalError,
    ) -> HttpResponse:
        if isinstance(refusal, InvalidProposal) and form is not None:
            form.add_problems(refusal.problems)
        if not action.keeps_form:
            messages.error(request, refusal.message)
            return HttpResponseRedirect(self.review_url(action_request.pk))
        answered = Answered(action, form, refusal.message)
        anew = for_review(ActionRequest.objects.filter(pk=action_request.pk)).get()
        return self._page(request, anew, answered, status=refusal.status)

    def _onwards(self, person: User, action_request: ActionRequest, outcome: Outcome) -> str:
        if outcome.opens is not None:
            return reverse("review", args=[outcome.opens.pk])
        if not outcome.goes_on:
            return self.review_url(action_request.pk)
        at = db_clock.now_of_page()
        following = place_of(action_request, self.team, person, at=at).following
        if not following:
            return self.list_url
        # not the very page that was fetched beforehand: that one knows nothing of this decision
        return f"{self.review_url(following)}?after={action_request.pk}"

    # --- The page -------------------------------------------------------------------------------

    def _page(
        self,
        request: HttpRequest,
        action_request: ActionRequest,
        answered: Answered | None = None,
        *,
        status: int = 200,
    ) -> HttpResponse:
        person = cast(User, request.user)
        # whoever uses break-glass opens requests of teams they are not in, and never their inboxes
        has_inbox = self.has_view_permission(request)
        records = reverse("admin:approvals_actionrequest_changelist")
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": self.name_for(request),
            "opts": self.opts if has_inbox else ActionRequest._meta,
            "inbox_url": self.list_url if has_inbox else records,
            "inbox_name": self.name_for(request),
            "has_inbox": has_inbox,
            "state_url": reverse("admin:inbox_case", args=[self.team, action_request.pk]),
            "live_url": reverse("admin:inbox_target", args=[self.team, action_request.pk]),
            "technical_url": reverse("admin:inbox_technical", args=[self.team, action_request.pk]),
            **(self._place(person, action_request) if has_inbox else {}),
            "action_request": action_request,
        }
        try:
            urls = self._action_urls(action_request.pk)
            context |= review_context(
                request, action_request, answered, urls=urls, was_asked=has_inbox
            )
        except IntegrityBroken as broken:
            if is_ahead_of_time(request):
                return HttpResponse(status=503)  # reported once somebody opens it
            by = IntegrityIncident.FoundBy.REVIEW
            integrity.report(action_request.pk, broken, found_by=by, actor=Actor.human(person))
            context["broken"] = broken.message
            return TemplateResponse(request, "approvals/broken.html", context, status=broken.status)
        return TemplateResponse(request, "approvals/review.html", context, status=status)

    def _place(self, person: User, action_request: ActionRequest) -> dict[str, Any]:
        place = place_of(action_request, self.team, person, at=db_clock.now_of_page())
        following = self.review_url(place.following) if place.following else ""
        beside = [{"row": row, "url": self.review_url(row.request_id)} for row in place.around]
        return {"place": place, "next_url": following, "neighbours": beside}
