"""One proxy per team, so that each inbox is a page of the admin with its own queryset."""

from __future__ import annotations

from approvals.models.request import ActionRequest


class FinanceInbox(ActionRequest):
    class Meta:
        proxy = True
        verbose_name = verbose_name_plural = "finance inbox"


class SecurityInbox(ActionRequest):
    class Meta:
        proxy = True
        verbose_name = verbose_name_plural = "security inbox"


class SupportInbox(ActionRequest):
    class Meta:
        proxy = True
        verbose_name = verbose_name_plural = "support inbox"


class OperationsInbox(ActionRequest):
    class Meta:
        proxy = True
        verbose_name = verbose_name_plural = "operations inbox"


class LegalInbox(ActionRequest):
    class Meta:
        proxy = True
        verbose_name = verbose_name_plural = "legal inbox"


class ManagerInbox(ActionRequest):
    class Meta:
        proxy = True
        verbose_name = verbose_name_plural = "manager inbox"


class ExecutiveInbox(ActionRequest):
    class Meta:
        proxy = True
        verbose_name = verbose_name_plural = "executive inbox"
