"""Delegated authority: people delegate their own, take it back, and see what they hold."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from audit.lib import db_clock
from audit.lib.admin import ReasonForm
from audit.lib.admin_filters import one_of
from audit.lib.dates import format_moment
from audit.lib.money import Money, MoneyError
from policies.admin.access import actor_at, configures, person_at
from policies.admin.changes import MayWaitAdmin
from policies.authority import may_be_asked, people_who_never_decide
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, Delegation, User
from policies.models.authority import ChangeStatus
from policies.services import delegations
from policies.teams import team_choices


class _Moment(UnfoldAdminTextInputWidget):  # type: ignore[misc]  # the theme is untyped
    """The browser's own chooser of a day and a time."""

    input_type = "datetime-local"


class LendForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when run
    """What is delegated, to whom and for how long."""

    to = forms.ModelChoiceField(
        queryset=User.objects.none(),
        widget=UnfoldAdminSelectWidget,
        help_text="Whoever decides on your behalf. They must be as free of a case as you.",
    )
    role = forms.ChoiceField(
        required=False,
        choices=lambda: [("", "every role I decide in"), *team_choices()],
        widget=UnfoldAdminSelectWidget,
    )
    cap = forms.CharField(
        required=False,
        max_length=30,
        widget=UnfoldAdminTextInputWidget,
        help_text='The largest single amount, such as "500.00". Empty: as far as your own limit.',
    )
    currency = forms.CharField(
        required=False, max_length=3, initial="EUR", widget=UnfoldAdminTextInputWidget
    )
    begins = forms.DateTimeField(widget=_Moment)
    ends = forms.DateTimeField(widget=_Moment, help_text="At most 90 days later.")
    why = forms.CharField(
        max_length=300,
        widget=UnfoldAdminTextInputWidget,
        help_text="For the trail. Nothing is delegated before an ops admin agrees.",
    )

    class Meta:
        model = Delegation
        fields = ("action_type",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        barred = people_who_never_decide().values("person")
        colleagues = User.objects.filter(is_active=True).exclude(person__in=barred)
        for name in ("lender", "to"):
            if name in self.fields:
                field = self.fields[name]
                assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the checker
                field.queryset = colleagues.order_by("username")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        text, currency = cleaned.get("cap", "").strip(), cleaned.get("currency", "").upper()
        cleaned["cap_money"] = None
        if text:
            try:
                cleaned["cap_money"] = Money.parse(text, currency)
            except MoneyError as error:
                self.add_error("cap", str(error))
        return cleaned


class LendForSomebodyForm(LendForm):
    """The same for ops admins, who name the delegator: somebody who cannot do it themselves."""

    lender = forms.ModelChoiceField(
        queryset=User.objects.none(),
        widget=UnfoldAdminSelectWidget,
        help_text="Whose authority is delegated.",
    )


_ASKED = ("to", "role", "action_type", "cap", "currency", "begins", "ends", "why")
_SHOWN = (
    "delegated_by", "held_by", "role", "action_type", "cap", "starts_at", "ends_at", "status",
    "reason",
)  # fmt: skip


@admin.register(Delegation)
class DelegationAdmin(MayWaitAdmin):
    """Everybody sees what they delegate and hold; who configures or audits sees all of it."""

    refusals = (PolicyError,)
    object_actions = (("revoke", ReasonForm),)
    ordering = ("-pk",)
    list_display = (
        "delegated_by", "held_by", "role", "action_type", "cap", "starts_at", "ends_at", "status",
    )  # fmt: skip
    list_select_related = ("lender", "delegate")
    list_filter = (one_of("role", "group", team_choices),)
    list_filter_submit = True
    change_form_outer_after_template = "admin/policies/delegation.html"
    list_before_template = "admin/policies/delegations_waiting.html"

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if _sees_all(request):
            return True
        if isinstance(obj, Delegation):
            return _is_concerned(request, obj)
        return _decides(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever decides delegates their own; ops admins ask for somebody else's."""
        return configures(request) or _decides(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether it may still be taken back. Nothing else ever changes."""
        if not isinstance(obj, Delegation) or _how_it_ended(obj):
            return False
        return configures(request) or _is_concerned(request, obj)

    def why_over(self, request: HttpRequest, row: Model) -> str:
        """It has ended, or somebody took it back."""
        if not isinstance(row, Delegation) or not (
            configures(request) or _is_concerned(request, row)
        ):
            return ""
        return _how_it_ended(row)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delegation]:
        rows: QuerySet[Delegation] = super().get_queryset(request)
        if _sees_all(request):
            return rows
        person = person_at(request).person
        return rows.filter(Q(lender__person=person) | Q(delegate__person=person))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None:
            return _SHOWN
        return ("lender", *_ASKED) if configures(request) else _ASKED

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return _SHOWN if obj is not None else ()

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[Any]]:
        if obj is None:
            kwargs["form"] = LendForSomebodyForm if configures(request) else LendForm
        return super().get_form(request, obj, change=change, **kwargs)

    def call_service(
        self, request: HttpRequest, obj: Any, form: Any, *, change: bool
    ) -> AuthorityChange:
        values = form.cleaned_data
        return delegations.propose_delegation(
            lender=values.get("lender") or person_at(request),
            delegate_id=values["to"].pk,
            group=values["role"],
            action_type=values["action_type"],
            cap=values["cap_money"],
            starts_at=values["begins"],
            ends_at=values["ends"],
            reason=values["why"],
            actor=actor_at(request),
        )

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        if configures(request):
            return super().response_add(request, obj, post_url_continue)
        messages.warning(request, "Asked. It takes effect when an ops admin agrees; see below.")
        return HttpResponseRedirect(reverse("admin:policies_delegation_changelist"))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What this person asked for and nobody has agreed to yet stands above the list."""
        asked = AuthorityChange.objects.filter(
            kind=delegations.GIVE,
            status=ChangeStatus.WAITING,
            lapses_at__gt=db_clock.now(),
            proposed_by__person=person_at(request).person,
        ).order_by("pk")
        return super().changelist_view(request, {"asked": asked, **(extra_context or {})})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Read, not changed: whatever is posted here is not looked at."""
        if request.method not in {"GET", "HEAD"}:
            raise PermissionDenied
        delegation = self.get_object(request, object_id)
        context = {
            "may_revoke": self.has_change_permission(request, delegation),
            "show_save": False,
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    def revoke(self, request: HttpRequest, delegation: Delegation, form: forms.Form) -> str:
        delegations.revoke(
            delegation.pk, actor=actor_at(request), reason=form.cleaned_data["reason"]
        )
        return "Taken back. What was approved on it and has not run goes back to people."

    @display(description="delegated by")  # type: ignore[untyped-decorator]
    def delegated_by(self, delegation: Delegation) -> str:
        return _name(delegation.lender)

    @display(description="held by")  # type: ignore[untyped-decorator]
    def held_by(self, delegation: Delegation) -> str:
        return _name(delegation.delegate)

    @display(description="role")  # type: ignore[untyped-decorator]
    def role(self, delegation: Delegation) -> str:
        return delegation.group or "every deciding role"

    @display(description="up to")  # type: ignore[untyped-decorator]
    def cap(self, delegation: Delegation) -> str:
        if delegation.cap_minor is None:
            return "the delegator's limit"
        return str(Money(delegation.cap_minor, delegation.cap_currency))

    @display(  # type: ignore[untyped-decorator]
        description="status",
        label={"in force": "success", "begins later": "warning", "taken back": "danger"},
    )
    def status(self, delegation: Delegation) -> str:
        at = db_clock.now()
        if delegation.revoked_at is not None:
            return "taken back"
        if delegation.ends_at <= at:
            return "over"
        return "in force" if delegation.starts_at <= at else "begins later"


def _name(user: User) -> str:
    return user.get_full_name() or user.get_username()


def _sees_all(request: HttpRequest) -> bool:
    return request.user.has_perm("policies.view_delegation")


def _decides(request: HttpRequest) -> bool:
    """Whether this person decides, or holds what somebody delegated them; asked once per page."""
    known: bool | None = getattr(request, "_countersign_lends", None)
    if known is None:
        person = person_at(request) if request.user.is_authenticated else None
        known = (
            person is not None
            and person.is_active
            and (
                may_be_asked(person)
                or Delegation.objects.filter(delegate__person=person.person).exists()
            )
        )
        request._countersign_lends = known  # type: ignore[attr-defined]
    return known


def _is_concerned(request: HttpRequest, delegation: Delegation) -> bool:
    person = person_at(request).person
    return person in (delegation.lender.person, delegation.delegate.person)


def _how_it_ended(delegation: Delegation) -> str:
    """Why there is nothing left to take back; "" while there is."""
    if delegation.revoked_at:
        return f"This was taken back on {format_moment(delegation.revoked_at)}."
    ended = delegation.ends_at <= db_clock.now()
    return f"This ended on {format_moment(delegation.ends_at)}." if ended else ""
