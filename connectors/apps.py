"""Registers the connectors with Django."""

from django.apps import AppConfig


class ConnectorsConfig(AppConfig):
    name = "connectors"
