"""Admin bases: pages that only read, pages whose save is one service call, and object actions.

`ReadOnlyAdmin` is the base of every record that has a lifecycle, `ServiceAdmin` of every
configuration model, `ObjectActionsAdmin` of those with actions on one row. None deletes, none has
bulk actions, all deny query-string lookups that are not on their list, and none counts or sorts a
table of millions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.admin.views.main import ChangeList as DjangoChangeList
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from django.views.decorators.http import require_POST, require_safe
from unfold.admin import ModelAdmin
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminTextInputWidget

MOST_ROWS_COUNTED = 1_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # not subscriptable when run
    """Counts to a thousand and no further; older rows are reached by filters, not by page 4,000.

    A full count reads the whole table, and the hundredth page as many rows as lie before it.
    """

    @cached_property
    def count(self) -> int:
        """How many rows, or MOST_ROWS_COUNTED when there are more."""
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return min(len(rows), MOST_ROWS_COUNTED)
        return rows.order_by()[:MOST_ROWS_COUNTED].count()


class FixedOrderChangeList(ChangeList):  # type: ignore[misc]
    """Sorts by what the admin says; `?o=` works on columns named in `sortable_by` alone.

    Django hides the links of other columns and still obeys a typed address.
    """

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Model]) -> list[str]:
        sortable = self.model_admin.get_sortable_by(request)
        asked = self.params.get("o", "").replace("-", "").split(".")
        columns = [self.list_display[int(i)] for i in asked if self._is_column(i)]
        if columns and set(columns) <= set(sortable):
            return list(super().get_ordering(request, queryset))
        return list(self.model_admin.get_ordering(request)) or ["-pk"]

    def _is_column(self, index: str) -> bool:
        return index.isdecimal() and index.isascii() and int(index) < len(self.list_display)


class _GuardedAdmin(ModelAdmin):  # type: ignore[misc]
    """What both bases share."""

    actions = None
    paginator = CappedPaginator
    list_per_page = 25
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = None
    ordering: Sequence[str] = ("-pk",)
    sortable_by: Sequence[str] = ()
    # Query-string lookups beyond the parameter_name of this admin's own filter classes; what a
    # (field, filter) pair in list_filter sends is named here. Deny by default: a lookup like
    # ?params__startswith= tells a patient reader what no column shows.
    allowed_lookups: ClassVar[Sequence[str]] = ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Django answers a refused lookup with 400."""
        return lookup in self.allowed_lookups or lookup in self._filter_parameters(request)

    def _filter_parameters(self, request: HttpRequest | None) -> Iterator[str]:
        filters = self.get_list_filter(request) if request else self.list_filter
        for one in filters:
            if isinstance(one, type) and (name := getattr(one, "parameter_name", None)):
                yield from (name, f"{name}_from", f"{name}_to")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[DjangoChangeList]:
        return FixedOrderChangeList

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Off: Django's log is not the trail. The address stays, because templates name it."""
        raise Http404


class ReadOnlyAdmin(_GuardedAdmin):
    """Shows rows to those who may view them. Nothing here answers anything but GET and HEAD."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        """Refuse every other method with 405 before any view code sees the request.

        A subclass with an address of its own (a review page) adds it to what this returns.
        """
        urls: list[URLPattern] = super().get_urls()
        for url in urls:
            url.callback = require_safe(url.callback)
        return urls


class ServiceAdmin(_GuardedAdmin):
    """An ordinary form whose save is one service call; the service's refusal is a form error.

    A subclass names the errors its service raises in `refusals` and implements `call_service`.
    """

    refusals: ClassVar[tuple[type[Exception], ...]] = ()

    def call_service(
        self, request: HttpRequest, obj: Any, form: forms.ModelForm[Any], *, change: bool
    ) -> Model:
        """Make the one service call and return the row it saved.

        `obj` holds the form's values and is not saved; services take ids and values from it.
        """
        raise NotImplementedError(f"{type(self).__name__} must say which service saves it.")

    def save_model(
        self, request: HttpRequest, obj: Any, form: forms.ModelForm[Any], change: bool
    ) -> None:
        saved = self.call_service(request, obj, form, change=change)
        obj.pk = saved.pk  # Django's redirect and log entry name the object by it

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Nothing: what the form says about related rows went through the service too."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the form again with the service's sentence when it refuses.

        Django runs the view in a transaction, so the refused attempt has been rolled back when
        the form is validated a second time, now with the refusal as its error.
        """
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except self.refusals as refusal:
            request.refusal = refusal  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[Any]]:
        form = super().get_form(request, obj, change=change, **kwargs)
        refusal: Exception | None = getattr(request, "refusal", None)
        if refusal is None:
            return form

        class Refused(form):  # type: ignore[misc, valid-type]
            def clean(self) -> Any:
                cleaned = super().clean()
                self.add_error(None, str(refusal))
                return cleaned

        return Refused


Answer = str | HttpResponse


class ReasonForm(forms.Form):
    """Why somebody does it, for the trail."""

    reason = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget)


class ObjectActionsAdmin(ServiceAdmin):
    """A `ServiceAdmin` with object actions; each takes a POST with its token, and nothing else.

    `object_actions` names methods `(request, obj, form) -> sentence or page`, each with its form.
    They run for people who may change that very row, and outside any transaction but the
    service's own.
    """

    object_actions: ClassVar[Sequence[tuple[str, type[forms.Form]]]] = ()

    def get_urls(self) -> list[URLPattern]:
        opts = self.opts
        own = [
            path(
                f"<int:object_id>/{name.replace('_', '-')}/",
                self.admin_site.admin_view(require_POST(self._action_view(name, form))),
                name=f"{opts.app_label}_{opts.model_name}_{name}",
            )
            for name, form in self.object_actions
        ]
        return own + list(super().get_urls())

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """One button saves; the object actions beside the form have their own."""
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

    def _action_view(self, name: str, form_class: type[forms.Form]) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: int) -> HttpResponse:
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

        return view

    def why_over(self, request: HttpRequest, row: Model) -> str:
        """Why it is too late, for who could have done it; "" where being late is not the reason.

        Of two who act at once one loses: they get the row's page with this sentence, not a 403.
        """
        return ""

    def address_of(self, row: Model) -> str:
        """The row's own page."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])

    def list_address(self) -> str:
        """The list the row is in."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
