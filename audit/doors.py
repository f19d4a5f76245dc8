"""Doors of a configuration page: POST addresses beside its form, one service call each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminTextInputWidget

from audit.read_only_admin import ServiceAdmin

Answer = str | HttpResponse


class ReasonForm(forms.Form):
    """Why somebody does it, for the trail."""

    reason = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget)


class ServiceAdminWithDoors(ServiceAdmin):
    """A `ServiceAdmin` with doors; each takes a POST with its token, and nothing else.

    `doors` names methods `(request, obj, form) -> sentence or page`, each with its form. They run
    for people who may change that very row, and outside any transaction but the service's own.
    """

    doors: ClassVar[Sequence[tuple[str, type[forms.Form]]]] = ()

    def get_urls(self) -> list[URLPattern]:
        opts = self.opts
        own = [
            path(
                f"<int:object_id>/{name.replace('_', '-')}/",
                self.admin_site.admin_view(require_POST(self._door(name, form))),
                name=f"{opts.app_label}_{opts.model_name}_{name}",
            )
            for name, form in self.doors
        ]
        return own + list(super().get_urls())

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """One button saves; the doors beside the form have their own."""
        context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        answer: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return answer

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """A row this person may not see is a 404: its id says nothing."""
        found = super().get_object(request, object_id, from_field)
        if found is None:
            raise Http404
        return found

    def _door(self, name: str, form_class: type[forms.Form]) -> Callable[..., HttpResponse]:
        def door(request: HttpRequest, object_id: int) -> HttpResponse:
            row: Model = self.get_object(request, str(object_id))
            back = HttpResponseRedirect(self.address_of(row))
            if not self.has_change_permission(request, row):
                over = self.why_over(request, row)
                if not over:
                    raise PermissionDenied
                messages.error(request, over)
                return back
            form = form_class(request.POST)
            if not form.is_valid():
                for field, problems in form.errors.items():
                    said = " ".join(str(problem) for problem in problems)
                    messages.error(request, f"{field.replace('_', ' ').capitalize()}: {said}")
                return back
            try:
                answer: Answer = getattr(self, name)(request, row, form)
            except self.refusals as refusal:
                messages.error(request, str(refusal))
                return back
            if isinstance(answer, HttpResponse):
                return answer
            messages.success(request, answer)
            return back

        return door

    def why_over(self, request: HttpRequest, row: Model) -> str:
        """Why it is too late, for who could have done it; "" where being late is not the reason.

        Of two who act at once one loses: they get the row's page with this sentence, not a 403.
        """
        return ""

    def address_of(self, row: Model) -> str:
        """The row's own page."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])
