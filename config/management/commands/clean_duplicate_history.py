"""Refused: it would delete history, of which no row is ever deleted."""

from config.refused_commands import RefusedCommand


class Command(RefusedCommand):
    help = "Refused by Countersign."
    instead = (
        "History is never deleted, not even rows that look alike: each says who saved and when."
    )
