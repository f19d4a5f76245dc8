"""Registers the connectors with Django."""

from django.apps import AppConfig


class ConnectorsConfig(AppConfig):
    name = "connectors"
    verbose_name = "Outside systems"
    default_auto_field = "django.db.models.BigAutoField"
