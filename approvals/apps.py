"""Registers the lifecycle with Django."""

from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "approvals"
    verbose_name = "Approvals"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have the service registered that carries out what a second person agreed to."""
        from approvals.services import connections  # noqa: F401
