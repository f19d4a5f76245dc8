"""Refused: it would delete history, of which no row is ever deleted."""

from config.refused_commands import RefusedCommand


class Command(RefusedCommand):
    help = "Refused by Countersign."
    instead = (
        "History is never deleted. When the disk fills up, enlarge it; a copy of the database "
        "can be archived whole."
    )
