"""Refused: accounts are made by services, on record, and superusers decide nothing."""

from config.refused_commands import RefusedCommand


class Command(RefusedCommand):
    help = "Refused by Countersign."
    instead = (
        "A superuser has no role and decides nothing. The first ops admins come from "
        "manage.py first_people, everybody else from the People page."
    )
