"""The first two ops admins of an installation: who gives everybody else their roles.

Afterwards authority is raised by two people, so there are two of them from the start, and there is
no way to make more like this: whoever can run a command here could otherwise appoint themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from audit.actors import Actor
from audit.events import AuditCode
from audit.services import record, stream
from policies.exceptions import PolicyError
from policies.models import User
from policies.roles import CONFIGURING_ROLE
from policies.services.people import create_user
from policies.services.roles import sync_roles

INSTALLER = Actor.system("first_people")


class Delivery(StrEnum):
    """How the links reach their people."""

    MAILED = "mailed"
    PRINTED = "printed"


def somebody_gives_roles() -> bool:
    """Whether there is an ops admin with an open account."""
    return User.objects.filter(groups__name=CONFIGURING_ROLE, is_active=True).exists()


@transaction.atomic
def create_first_people(people: Iterable[tuple[str, str]], *, delivery: Delivery) -> list[User]:
    """Create both accounts, without passwords; the caller delivers `passwords.link_of` each.

    `people` are user names with mail addresses. Raises PolicyError: not_two_people, bad_name,
    bad_mail_address, already_people, username_taken.
    """
    wanted = [(User.normalize_username(name.strip()), mail.strip()) for name, mail in people]
    _check(wanted)
    stream("first people")  # two commands at once make two people, not four
    if User.objects.filter(groups__name=CONFIGURING_ROLE).exists():
        raise PolicyError(
            "already_people",
            "There is an ops admin already. They give roles in the admin, by two people; for those "
            "who never chose a password, first_people --again makes new links.",
        )
    sync_roles(actor=INSTALLER)
    users = [
        create_user(actor=INSTALLER, username=name, email=mail, roles=[CONFIGURING_ROLE])
        for name, mail in wanted
    ]
    for user in users:
        _record_link(user, delivery)
    return users


@transaction.atomic
def renew_links(*, delivery: Delivery) -> list[User]:
    """New links for the first people, while neither of them has chosen a password.

    Raises PolicyError: already_people, when somebody gives roles or when there is nobody yet.
    """
    stream("first people")
    users = list(User.objects.filter(groups__name=CONFIGURING_ROLE).order_by("pk"))
    if not users:
        raise PolicyError("already_people", "There are no first people yet; name them.")
    if any(user.has_usable_password() for user in users):
        raise PolicyError(
            "already_people",
            "An ops admin has chosen a password already: they ask for a link for the other one, "
            "on the other one's page.",
        )
    for user in users:
        _record_link(user, delivery)
    return users


def _check(wanted: list[tuple[str, str]]) -> None:
    names = {name.casefold() for name, _ in wanted}
    mails = {mail.casefold() for _, mail in wanted}
    if len(wanted) != 2 or len(names) != 2 or len(mails) != 2:
        raise PolicyError(
            "not_two_people",
            "Name two different people with two different mail addresses, such as "
            "petra=petra@company.example paul=paul@company.example.",
        )
    for name, mail in wanted:
        try:
            UnicodeUsernameValidator()(name)
        except ValidationError as error:
            raise PolicyError(
                "bad_name", f"'{name}' is not a user name: {error.message}"
            ) from error
        if len(name) > 64:
            raise PolicyError("bad_name", f"'{name[:20]}...' has more than 64 characters.")
        try:
            validate_email(mail)
        except ValidationError as error:
            raise PolicyError("bad_mail_address", f"'{mail}' is not a mail address.") from error


def _record_link(user: User, delivery: Delivery) -> None:
    record(
        AuditCode.USER_LINK_ISSUED,
        actor=INSTALLER,
        subject=user,
        data={"username": user.username, "email": user.email, "delivery": delivery.value},
    )
