"""`manage.py first_people NAME=mail NAME=mail`: the first two ops admins of an installation."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from policies.exceptions import PolicyError
from policies.services import passwords
from policies.services.first_people import Delivery, create_first_people, renew_links

_REACH_NOBODY = ("console", "dummy", "locmem")


class Command(BaseCommand):
    help = (
        "Create the first two ops admins, who give everybody else their roles. Each is mailed a "
        "link that works once to choose a password. Refuses once there is an ops admin."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "people", nargs="*", metavar="NAME=mail", help="two of them; such as petra=petra@x.org"
        )
        parser.add_argument(
            "--print-links",
            action="store_true",
            help="print the links instead of mailing them; hand each to its owner only",
        )
        parser.add_argument(
            "--again",
            action="store_true",
            help="new links for the same two people, while neither has chosen a password",
        )

    def handle(
        self, *args: Any, people: list[str], print_links: bool, again: bool, **options: Any
    ) -> None:
        delivery = Delivery.PRINTED if print_links else Delivery.MAILED
        backend = settings.EMAIL_BACKEND.removeprefix("django.core.mail.backends.")
        if delivery == Delivery.MAILED and backend.startswith(_REACH_NOBODY):
            raise CommandError(
                "There is no mail server to send the links by. Set EMAIL_URL, or print the links "
                "with --print-links and hand each to its owner."
            )
        if again and people:
            raise CommandError("--again is for the people there are; name nobody.")
        try:
            users = (
                renew_links(delivery=delivery)
                if again
                else create_first_people([_pair(one) for one in people], delivery=delivery)
            )
        except PolicyError as error:
            raise CommandError(error.message) from error
        except DatabaseError as error:
            raise CommandError(
                f"The database cannot be used; run manage.py migrate first. ({error})"
            ) from error
        for user in users:
            if print_links:
                self.stdout.write(f"{user.username}: {passwords.link_of(user)}")
            elif passwords.send_link(user):
                self.stdout.write(f"{user.username}: a link was mailed to {user.email}.")
            else:
                raise CommandError(
                    f"The mail server at {settings.EMAIL_HOST} did not take the mail to "
                    f"{user.email}. Mend EMAIL_URL and run manage.py first_people --again, or add "
                    "--print-links to it."
                )
        self.stdout.write(
            "Each link works once, within a day. Then either of them gives roles under People in "
            "the admin, and the other one agrees."
        )


def _pair(written: str) -> tuple[str, str]:
    name, equals, mail = written.partition("=")
    if not equals:
        raise CommandError(f"'{written}' is not NAME=mail; write petra=petra@company.example.")
    return name, mail
