"""Registers the lifecycle with Django."""

from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "approvals"
    verbose_name = "Approvals"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have registered what carries out what a second person agreed to, what webhooks say."""
        from approvals.api import webhook_body  # noqa: F401
        from approvals.services import connections  # noqa: F401
