"""Refused: it would make up history for rows nobody saved."""

from config.refused_commands import RefusedCommand


class Command(RefusedCommand):
    help = "Refused by Countersign."
    instead = "History is written by the service that changes a row, and at no other time."
