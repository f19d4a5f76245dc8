"""Refused: it would write rows past services, history and trail."""

from config.refused_commands import RefusedCommand


class Command(RefusedCommand):
    help = "Refused by Countersign."
    instead = (
        "Rows are written by services, with their events. To move an installation, restore a "
        "backup of its whole database."
    )
