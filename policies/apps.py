"""Registers policy, people and authority with Django."""

from django.apps import AppConfig


class PoliciesConfig(AppConfig):
    name = "policies"
    verbose_name = "Policy and authority"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have every service registered that carries out what a second person agreed to."""
        from policies.services import accounts, delegations, limits, passwords, people  # noqa: F401
