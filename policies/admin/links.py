"""Links to pages of rooms this one does not know, by name, for those who may follow them."""

from __future__ import annotations

from dataclasses import dataclass

from django.apps import apps
from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import reverse

_RECORD = "approvals.ActionRequest"


@dataclass(frozen=True, slots=True)
class RecordLinks:
    """From a request's id to its record; to nothing for readers who may not open records."""

    page: str  # the address's name; "" for these readers

    @classmethod
    def for_reader(cls, request: HttpRequest, site: AdminSite) -> RecordLinks:
        model = apps.get_model(_RECORD)
        may = site.is_registered(model) and site.get_model_admin(model).has_view_permission(request)
        label = f"{model._meta.app_label}_{model._meta.model_name}"
        return cls(f"admin:{label}_change" if may else "")

    def to(self, subject_id: str) -> str:
        """The record's address; "" when there is none for this reader."""
        return reverse(self.page, args=[subject_id]) if self.page else ""
