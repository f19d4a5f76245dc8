"""Registers the composition: system checks, and the admin site with the pages of our own apps."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.staticfiles.apps import StaticFilesConfig as _StaticFilesConfig

_APPS_WITH_PAGES = ("audit", "policies", "approvals")


class ConfigConfig(AppConfig):
    """Commands, system checks and error pages of the running system."""

    name = "config"
    verbose_name = "Countersign"

    def ready(self) -> None:
        from config import admin_checks, checks, logs, protection, refused_commands  # noqa: F401  # importing registers checks

        refused_commands.refuse()
        logs.configure()
        protection.connect(sender=apps.get_app_config("approvals"))


class StaticFilesConfig(_StaticFilesConfig):
    """Styles, scripts and fonts, without what packages bring along and no page of ours shows."""

    ignore_patterns = [*_StaticFilesConfig.ignore_patterns, "redoc", "rest_framework"]


class CountersignAdminConfig(SimpleAdminConfig):
    """Django's admin on our site.

    Only our own apps register pages. Django's autodiscovery would also take in the pages other
    packages bring along, such as a group form with which anybody may give themselves anything.
    """

    default_site = "config.admin_site.CountersignSite"

    def ready(self) -> None:
        super().ready()
        for app in _APPS_WITH_PAGES:
            import_module(f"{app}.admin")
