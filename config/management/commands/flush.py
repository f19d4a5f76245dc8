"""Refused: it would empty every table, the trail among them."""

from config.refused_commands import RefusedCommand


class Command(RefusedCommand):
    help = "Refused by Countersign."
    instead = (
        "Records and the trail are never emptied. To start afresh, create a new database and set "
        "DATABASE_URL to it."
    )
