"""Refused: it would give somebody a password others know, without an event."""

from config.refused_commands import RefusedCommand


class Command(RefusedCommand):
    help = "Refused by Countersign."
    instead = (
        "Nobody sets somebody else's password. Two ops admins agree on the People page that the "
        "person is mailed a link with which they choose one."
    )
