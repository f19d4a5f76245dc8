"""Registers the trail with Django."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "audit"
    verbose_name = "Trail"
    default_auto_field = "django.db.models.BigAutoField"
