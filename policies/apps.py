"""Registers policy, people and authority with Django."""

from django.apps import AppConfig


class PoliciesConfig(AppConfig):
    name = "policies"
    verbose_name = "Policy and authority"
    default_auto_field = "django.db.models.BigAutoField"
