"""Replays: how far one has come, what it found, and every flip to look at or take along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_safe
from unfold.decorators import display

from audit.lib.admin import ReadOnlyAdmin
from audit.lib.admin_filters import one_of
from audit.lib.csv_export import csv_file
from audit.lib.money import Money
from policies.admin.replay_panel import FLIPS, RecordLinks, panel, percent
from policies.models import Backtest, BacktestFlip
from policies.models.replays import BacktestStatus
from policies.replay.summary import Summary

_ROWS = 50
_CHOOSERS = ("direction", "agent", "action_type")
_COLUMNS = (
    "request", "evaluated at", "action type", "agent", "amount", "currency", "direction",
    "verdict then", "tier then", "asked then", "verdict now", "tier now", "asked now",
)  # fmt: skip


@admin.register(Backtest)
class BacktestAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at", "version", "against", "status_badge", "replayed", "requested_by",
    )  # fmt: skip
    list_select_related = ("version", "against", "requested_by")
    list_filter = (one_of("status", "status", lambda: list(BacktestStatus.choices)),)
    list_filter_submit = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Backtest]:
        rows: QuerySet[Backtest] = super().get_queryset(request)
        return rows.select_related("version", "against", "requested_by")

    def get_urls(self) -> list[URLPattern]:
        def page(route: str, view: Any, name: str) -> URLPattern:
            own = self.admin_site.admin_view(require_safe(view))
            return path(f"<int:object_id>/{route}", own, name=f"policies_backtest_{name}")

        return [
            page("progress/", self.progress_view, "progress"),
            page("flips.csv", self.csv_view, "csv"),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """One replay: the sentence, the bars, and the flips page by page."""
        replay = self._replay(request, object_id)
        chosen = _chosen(request)
        rows = Paginator(_flips(replay, chosen), _ROWS).get_page(request.GET.get("page"))
        return TemplateResponse(
            request,
            "admin/policies/replay.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": replay,
                "title": f"Replay of {replay.version}",
                "subtitle": "Policy",
                "panel": panel(replay, replay.version),
                "rows": rows,
                "lines": [(flip, amount(flip)) for flip in rows],
                "choosers": _choosers(replay, chosen),
                "chosen": urlencode(chosen),
                "links": RecordLinks.for_reader(request, self.admin_site),
                "csv": reverse("admin:policies_backtest_csv", args=[replay.pk]),
                "back": reverse("admin:policies_policyversion_change", args=[replay.version_id]),
            },
        )

    def progress_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """How far it has come, for the page that waits."""
        replay = self._replay(request, str(object_id))
        answer = JsonResponse(
            {
                "status": replay.status,
                "total": replay.total,
                "done": replay.done,
                "percent": percent(replay),
            }
        )
        answer["Cache-Control"] = "no-store"
        return answer

    def csv_view(self, request: HttpRequest, object_id: int) -> StreamingHttpResponse:
        """The flips as chosen, for a spreadsheet; nothing in it is a formula."""
        replay = self._replay(request, str(object_id))
        return csv_file(f"replay-{replay.pk}", _COLUMNS, _rows(_flips(replay, _chosen(request))))

    def _replay(self, request: HttpRequest, object_id: str) -> Backtest:
        replay: Backtest | None = self.get_object(request, object_id)
        if replay is None:
            raise Http404
        if not self.has_view_permission(request, replay):
            raise PermissionDenied
        return replay

    @display(  # type: ignore[untyped-decorator]
        description="status",
        label={"waiting": "", "running": "info", "done": "success", "failed": "danger"},
    )
    def status_badge(self, replay: Backtest) -> tuple[str, str]:
        return replay.status, replay.get_status_display()

    @display(description="replayed")  # type: ignore[untyped-decorator]
    def replayed(self, replay: Backtest) -> str:
        return f"{replay.done:,} of {replay.total:,}"


def amount(flip: BacktestFlip) -> str:
    """The request's amount as money is written; empty when it moves none."""
    if flip.amount_minor is None or not flip.currency:
        return ""
    return str(Money(flip.amount_minor, flip.currency))


def _chosen(request: HttpRequest) -> dict[str, str]:
    return {name: value for name in _CHOOSERS if (value := request.GET.get(name, ""))}


def _flips(replay: Backtest, chosen: dict[str, str]) -> QuerySet[BacktestFlip]:
    return replay.flips.filter(**chosen).order_by("id")


def _choosers(replay: Backtest, chosen: dict[str, str]) -> list[dict[str, Any]]:
    summary = Summary.from_json(replay.summary) if replay.summary else Summary()
    options = {
        "direction": [(d.value, str(d.label)) for d in FLIPS if summary.flips.of(d).count],
        "agent": [(name, name) for name in sorted(summary.by_agent)],
        "action_type": [(name, name) for name in sorted(summary.by_action_type)],
    }
    return [
        {
            "name": name,
            "label": name.replace("_", " "),
            "options": options[name],
            "chosen": chosen.get(name, ""),
        }
        for name in _CHOOSERS
    ]


def _rows(flips: QuerySet[BacktestFlip]) -> Iterator[tuple[str, ...]]:
    for flip in flips.iterator(chunk_size=2_000):
        money = None
        if flip.amount_minor is not None and flip.currency:
            money = Money(flip.amount_minor, flip.currency)
        yield (
            flip.subject_id, flip.at.isoformat(), flip.action_type, flip.agent,
            money.decimal if money else "", flip.currency, flip.direction,
            flip.before_verdict, str(flip.before_tier), flip.before_asked,
            flip.after_verdict, str(flip.after_tier), flip.after_asked,
        )  # fmt: skip
