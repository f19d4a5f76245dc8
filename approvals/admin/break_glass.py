"""Break-glass: every emergency with its reason, and the review it must get."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST
from unfold.decorators import display

from approvals.admin.scoped import ScopedRecords, link_to_record
from approvals.exceptions import ApprovalError
from approvals.models import BreakGlass
from approvals.selectors.break_glass import readable_break_glass
from approvals.services import break_glass
from audit.lib import db_clock
from audit.lib.admin_filters import between, equal_to, one_of
from policies.models import User

_OUTCOMES = [("yes", "justified"), ("no", "not justified")]
_LONGEST = 2_000


class ReviewForm(forms.Form):
    """What the reviewer found."""

    was_justified = forms.ChoiceField(
        choices=_OUTCOMES, error_messages={"required": "Say whether it was justified."}
    )
    comment = forms.CharField(
        max_length=_LONGEST, error_messages={"required": "Write what you found."}
    )


@admin.register(BreakGlass)
class BreakGlassAdmin(ScopedRecords):
    """Read by those who are told of emergencies; its one door is the review."""

    list_display = ("created_at", "person", "request_link", "review", "reviewer")
    list_select_related = ("request", "reviewer")
    list_filter = (
        one_of(
            "justified", "was_justified", lambda: [("1", "yes"), ("0", "no")],
        ),
        equal_to("person", "person"),
        *between("created_at"),
    )  # fmt: skip
    list_filter_submit = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[BreakGlass]:
        rows = readable_break_glass(cast(User, request.user))
        return rows.select_related("request__agent__owner", "reviewer", "decision__decider")

    def get_urls(self) -> list[URLPattern]:
        review = self.admin_site.admin_view(require_POST(self.review_view))
        own = path("<int:object_id>/review/", review, name="approvals_breakglass_review")
        return [own, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """One emergency, read; and the form of its review, for who may make it."""
        broken: BreakGlass = self.get_object(request, object_id)
        if not self.has_view_permission(request, broken):
            raise PermissionDenied
        waits = broken.reviewed_at is None
        why_not = break_glass.why_no_reviewer(broken, cast(User, request.user)) if waits else ""
        return TemplateResponse(
            request,
            "admin/approvals/breakglass.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": broken,
                "title": "Break-glass approval",
                "subtitle": self._standing(broken)[1],
                "tone": _TONES[self._standing(broken)[0]],
                "standing": self._standing(broken)[1],
                "record": link_to_record(broken.request),
                "waits": waits,
                "why_not": why_not,
                "outcomes": _OUTCOMES,
                "longest": _LONGEST,
            },
        )

    def review_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        broken: BreakGlass = self.get_object(request, str(object_id))
        if not self.has_view_permission(request, broken):
            raise PermissionDenied
        form = ReviewForm(request.POST)
        back = HttpResponseRedirect(reverse("admin:approvals_breakglass_change", args=[broken.pk]))
        if not form.is_valid():
            for problem in form.errors.values():
                messages.error(request, " ".join(str(one) for one in problem))
            return back
        try:
            break_glass.review(
                broken.pk,
                reviewer=cast(User, request.user),
                was_justified=form.cleaned_data["was_justified"] == "yes",
                comment=form.cleaned_data["comment"],
            )
        except ApprovalError as refusal:
            messages.error(request, refusal.message)
            return back
        messages.success(request, "Reviewed. What you found is on record.")
        return back

    @display(  # type: ignore[untyped-decorator]
        description="review",
        label={"waits": "warning", "overdue": "danger", "yes": "success", "no": "danger"},
    )
    def review(self, broken: BreakGlass) -> tuple[str, str]:
        return self._standing(broken)

    def _standing(self, broken: BreakGlass) -> tuple[str, str]:
        if broken.reviewed_at is not None:
            return ("yes", "justified") if broken.was_justified else ("no", "NOT justified")
        if broken.review_due_at <= db_clock.now():
            return "overdue", "review overdue"
        return "waits", "waits for review"


_TONES = {"waits": "warning", "overdue": "danger", "yes": "success", "no": "danger"}
