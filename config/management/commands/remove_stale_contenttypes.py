"""Refused: it would delete permissions from roles without an event."""

from config.refused_commands import RefusedCommand


class Command(RefusedCommand):
    help = "Refused by Countersign."
    instead = "Roles and their permissions are kept by manage.py sync_roles, on record."
