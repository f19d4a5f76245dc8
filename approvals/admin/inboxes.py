"""One inbox per team."""

from __future__ import annotations

from django.contrib import admin

from approvals.admin.base import InboxAdmin
from approvals.models import (
    ExecutiveInbox,
    FinanceInbox,
    LegalInbox,
    ManagerInbox,
    OperationsInbox,
    SecurityInbox,
    SupportInbox,
)


@admin.register(FinanceInbox)
class FinanceInboxAdmin(InboxAdmin):
    team = "finance"


@admin.register(SecurityInbox)
class SecurityInboxAdmin(InboxAdmin):
    team = "security"


@admin.register(SupportInbox)
class SupportInboxAdmin(InboxAdmin):
    team = "support"


@admin.register(OperationsInbox)
class OperationsInboxAdmin(InboxAdmin):
    team = "operations"


@admin.register(LegalInbox)
class LegalInboxAdmin(InboxAdmin):
    team = "legal"


@admin.register(ManagerInbox)
class ManagerInboxAdmin(InboxAdmin):
    team = "manager"


@admin.register(ExecutiveInbox)
class ExecutiveInboxAdmin(InboxAdmin):
    team = "executive"
