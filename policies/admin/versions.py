"""The policy editor: versions read, written, replayed, proposed, published and rolled back to."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Case, QuerySet, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_http_methods, require_safe
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from audit.lib.admin import ObjectActionsAdmin, ReasonForm
from audit.lib.admin_filters import one_of
from policies.admin.access import actor_at, person_at, writes_policy
from policies.admin.editor import edit, vocabulary
from policies.admin.replay_panel import RecordLinks, differing_from, shadow_chart
from policies.admin.version_page import version_page
from policies.exceptions import PolicyError
from policies.models import PolicyVersion
from policies.models.replays import Direction
from policies.models.versions import VersionKind, VersionStatus
from policies.services import backtests, drafts, shadow, versions
from policies.services.publishable import document_in_force

_ROWS = 50


class WhyForm(ReasonForm):
    """Why, at the length a policy deserves."""

    reason = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget)


@admin.register(PolicyVersion)
class PolicyVersionAdmin(ObjectActionsAdmin):
    refusals = (PolicyError,)
    object_actions = (
        ("replay", forms.Form),
        ("propose", WhyForm),
        ("publish", WhyForm),
        ("send_back", WhyForm),
        ("discard", WhyForm),
        ("roll_back", WhyForm),
        ("start_shadow", WhyForm),
        ("end_shadow", WhyForm),
    )
    list_display = (
        "label", "kind", "status_badge", "what_changed", "written_by", "published_by", "created_at",
        "published_at",
    )  # fmt: skip
    list_select_related = ("author", "publisher")
    list_filter = (
        one_of("status", "status", lambda: list(VersionStatus.choices)),
        one_of("kind", "kind", lambda: list(VersionKind.choices)),
    )
    list_filter_submit = True
    list_before_template = "admin/policies/policy_list.html"
    search_fields = ("label",)
    search_help_text = "A whole label, such as 2026-11-20.1."
    fields = ("reason", "document")

    class Media:
        css = {"all": ("policies/policy_editor.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[PolicyVersion]:
        rows: QuerySet[PolicyVersion] = super().get_queryset(request)
        return rows.select_related("author", "publisher", "based_on", "restores")

    def get_ordering(self, request: HttpRequest) -> Any:
        """Those in force on top."""
        return Case(When(status=VersionStatus.PUBLISHED, then=0), default=1), "-id"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[PolicyVersion], search_term: str
    ) -> tuple[QuerySet[PolicyVersion], bool]:
        term = search_term.strip()
        return (queryset.filter(label=term) if term else queryset), False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {
            "title": "Policy",
            "policy": {
                "may_write": self.has_add_permission(request) and writes_policy(request),
                "may_write_floor": (
                    self.has_add_permission(request) and writes_policy(request, floor=True)
                ),
                "waiting": list(
                    self.get_queryset(request).filter(status=VersionStatus.PROPOSED)[:5]
                ),
                "suggested": list(
                    self.get_queryset(request)
                    .filter(status=VersionStatus.DRAFT)
                    .exclude(suggested_from="")[:5]
                ),
                "vocabulary": reverse("admin:policies_policyversion_vocabulary"),
                "add": reverse("admin:policies_policyversion_add"),
            },
            **(extra_context or {}),
        }
        response = super().changelist_view(request, context)
        shown = response.context_data if isinstance(response, TemplateResponse) else None
        if shown and "cl" in shown:  # nobody reads "15 results (Show all)"
            shown["cl"].full_result_count = shown["cl"].result_count
        return cast(HttpResponse, response)

    def has_add_permission(self, request: HttpRequest) -> bool:
        writes = writes_policy(request) or writes_policy(request, floor=True)
        return super().has_add_permission(request) and writes

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if not super().has_change_permission(request, obj):
            return False
        if obj is None:
            return writes_policy(request) or writes_policy(request, floor=True)
        return writes_policy(request, floor=obj.kind == VersionKind.FLOOR)

    # --- Pages ------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        def page(route: str, view: Any, name: str) -> URLPattern:
            return path(
                route, self.admin_site.admin_view(view), name=f"policies_policyversion_{name}"
            )

        both = require_http_methods(["GET", "HEAD", "POST"])
        return [
            page("vocabulary/", require_safe(self.vocabulary_view), "vocabulary"),
            page("<int:object_id>/edit/", both(self.edit_view), "edit"),
            page("<int:object_id>/shadow/", require_safe(self.shadow_view), "shadow"),
            *super().get_urls(),
        ]

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The editor, with the text in force to start from: the policy's, or the floor's."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        is_floor = "floor" in request.GET or not writes_policy(request)
        return edit(self, request, None, floor=is_floor)

    def edit_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """The editor, with the draft's own text."""
        version = self.get_object(request, str(object_id))
        if not self.has_change_permission(request, version):
            raise PermissionDenied
        if version.status != VersionStatus.DRAFT:
            self.message_user(request, "Only a draft is edited.", level="warning")
            return HttpResponseRedirect(self.address_of(version))
        return edit(self, request, version)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Read, not changed: whatever is posted here is not looked at."""
        version = self.get_object(request, object_id)
        if request.method not in {"GET", "HEAD"} or not self.has_view_permission(request, version):
            raise PermissionDenied
        page = version_page(
            version,
            viewer=person_at(request),
            may_write=self.has_change_permission(request, version),
        )
        links = RecordLinks.for_reader(request, self.admin_site)
        case = links.to(version.suggested_from) if version.suggested_from else ""
        return self._page(
            request,
            version,
            "version",
            page=page,
            case_url=case,
            urls=self._urls(version),
            title=version.label,
        )

    def shadow_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Every request the shadow answered differently."""
        version = self.get_object(request, str(object_id))
        if not self.has_view_permission(request, version):
            raise PermissionDenied
        chosen = request.GET.get("direction", "")
        rows = differing_from(version)
        if chosen:
            rows = rows.filter(direction=chosen)
        return self._page(
            request,
            version,
            "policy_shadow",
            title=f"Shadow of {version.label}",
            chart=shadow_chart(version),
            rows=Paginator(rows, _ROWS).get_page(request.GET.get("page")),
            chosen=chosen,
            directions=[d for d in Direction if d is not Direction.SAME],
            back=self.address_of(version),
        )

    def vocabulary_view(self, request: HttpRequest) -> HttpResponse:
        """What rules may ask."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self._page(
            request,
            None,
            "facts",
            title="What rules may ask",
            vocabulary=vocabulary(document_in_force(), document_in_force(floor=True)),
            back=self.list_address(),
        )

    def _page(
        self, request: HttpRequest, version: PolicyVersion | None, template: str, **context: Any
    ) -> HttpResponse:
        return TemplateResponse(
            request,
            f"admin/policies/{template}.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": version,
                "subtitle": "Policy",
                "links": RecordLinks.for_reader(request, self.admin_site),
                **context,
            },
        )

    def _urls(self, version: PolicyVersion) -> dict[str, str]:
        names = [*(name for name, _ in self.object_actions), "edit", "shadow"]
        return {
            name: reverse(f"admin:policies_policyversion_{name}", args=[version.pk])
            for name in names
        } | {"list": self.list_address()}

    # --- Actions ----------------------------------------------------------------------------------

    def replay(self, request: HttpRequest, version: PolicyVersion, form: forms.Form) -> str:
        backtests.request_backtest(version.pk, actor=actor_at(request))
        return "The replay is asked for; this page shows how far it has come."

    def propose(self, request: HttpRequest, version: PolicyVersion, form: forms.Form) -> str:
        drafts.request_publication(version.pk, actor=actor_at(request), **form.cleaned_data)
        return f"{version.label} waits for somebody else to publish it."

    def publish(self, request: HttpRequest, version: PolicyVersion, form: forms.Form) -> str:
        versions.publish_version(version.pk, publisher=person_at(request), **form.cleaned_data)
        return f"{version.label} is in force."

    def send_back(self, request: HttpRequest, version: PolicyVersion, form: forms.Form) -> str:
        drafts.return_to_draft(version.pk, actor=actor_at(request), **form.cleaned_data)
        return f"{version.label} is a draft again."

    def discard(self, request: HttpRequest, version: PolicyVersion, form: forms.Form) -> str:
        drafts.discard(version.pk, actor=actor_at(request), **form.cleaned_data)
        return f"{version.label} is discarded."

    def roll_back(
        self, request: HttpRequest, version: PolicyVersion, form: forms.Form
    ) -> HttpResponse:
        new = drafts.roll_back_to(version.pk, actor=actor_at(request), **form.cleaned_data)
        self.message_user(
            request, f"{new.label} has the text of {version.label}; somebody else publishes it."
        )
        return HttpResponseRedirect(self.address_of(new))

    def start_shadow(self, request: HttpRequest, version: PolicyVersion, form: forms.Form) -> str:
        shadow.start_shadow(version.pk, actor=actor_at(request), **form.cleaned_data)
        return f"{version.label} runs in the shadow: it is asked, and decides nothing."

    def end_shadow(self, request: HttpRequest, version: PolicyVersion, form: forms.Form) -> str:
        shadow.stop_shadow(version.pk, actor=actor_at(request), **form.cleaned_data)
        return f"{version.label} no longer runs in the shadow."

    # --- Columns ----------------------------------------------------------------------------------

    @display(  # type: ignore[untyped-decorator]
        description="status",
        label={"draft": "warning", "proposed": "info", "published": "success", "retired": "",
               "discarded": ""},
    )  # fmt: skip
    def status_badge(self, version: PolicyVersion) -> tuple[str, str]:
        is_in_force = version.status == VersionStatus.PUBLISHED
        return version.status, "in force" if is_in_force else version.get_status_display()

    @display(description="what changed")  # type: ignore[untyped-decorator]
    def what_changed(self, version: PolicyVersion) -> str:
        prefix = f"Back to {version.restores}: " if version.restores else ""
        prefix = "Suggested from a case: " if version.suggested_from else prefix
        return f"{prefix}{version.reason}"

    @display(description="written by")  # type: ignore[untyped-decorator]
    def written_by(self, version: PolicyVersion) -> str:
        if version.author:
            return version.author.get_username()
        return "an upgrade" if version.based_on_id else "installed with Countersign"

    @display(description="published by", empty_value="-")  # type: ignore[untyped-decorator]
    def published_by(self, version: PolicyVersion) -> str | None:
        return version.publisher.get_username() if version.publisher else None
