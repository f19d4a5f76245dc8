"""The first two ops admins: made once, by links nobody else has, on record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message
from functools import partial
from io import StringIO

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from audit.actors import Actor
from audit.models import AuditEvent
from config.checks import check_somebody_gives_roles
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, User
from policies.services.dual_control import agree
from policies.services.first_people import Delivery, create_first_people
from policies.services.people import change_roles
from policies.services.roles import sync_roles
from tests.faults.processes import free_port
from tests.policies.make import SYSTEM, make_user
from tests.races.make import at_once, losers

PETRA, PAUL = "petra=petra@retailer.example", "paul=paul@retailer.example"
PASSWORD = "correct horse battery staple"


class Inbox(MessageHandler):
    """A mail server's mails, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Message] = []

    def handle_message(self, message: Message) -> None:
        self.mails.append(message)


@pytest.fixture
def mail_server(settings: Settings) -> Iterator[Inbox]:
    """A real one on a free port of loopback, which EMAIL_URL names."""
    inbox = Inbox()
    controller = Controller(inbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = controller.port
    yield inbox
    controller.stop()


def first_people(*arguments: str) -> str:
    said = StringIO()
    call_command("first_people", *arguments, stdout=said)
    return said.getvalue()


def link_in(text: str) -> str:
    found = re.search(r"http://[^/]+(/\S+token=\S+)", text)
    assert found, text
    return found[1]


def choose(link: str) -> int:
    """Follow the link and choose; the status of the answer to the form."""
    browser = Client()
    page = browser.get(link, follow=True)
    if page.status_code != 200:
        return page.status_code
    answer = browser.post(
        reverse("choose_password"), {"new_password1": PASSWORD, "new_password2": PASSWORD}
    )
    return answer.status_code


def signed_in(username: str) -> Client:
    browser = Client()
    assert browser.login(username=username, password=PASSWORD)
    return browser


@pytest.mark.django_db
def test_two_mailed_people_give_a_third_one_a_role(mail_server: Inbox) -> None:
    said = first_people(PETRA, PAUL)

    assert "token" not in said
    assert [mail["To"] for mail in mail_server.mails] == [
        "petra@retailer.example",
        "paul@retailer.example",
    ]
    for mail in mail_server.mails:
        link = link_in(str(mail.get_payload(decode=True), "utf-8"))  # type: ignore[arg-type]
        assert choose(link) == 302
        assert choose(link) == 410
    rita = make_user("rita")
    petra, paul = signed_in("petra"), signed_in("paul")
    assert petra.get(reverse("admin:index")).status_code == 200

    change = change_roles(
        rita.pk, actor=Actor.human(User.objects.get(username="petra")), roles=["risk owner"],
        reason="she writes policy",
    )  # fmt: skip
    assert isinstance(change, AuthorityChange)
    page = paul.get(reverse("admin:policies_authoritychange_change", args=[change.pk]))
    assert page.status_code == 200
    agree(change.pk, actor=Actor.human(User.objects.get(username="paul")), reason="agreed")
    assert list(rita.groups.values_list("name", flat=True)) == ["risk owner"]


@pytest.mark.django_db
def test_links_are_printed_where_there_is_no_mail(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

    with pytest.raises(CommandError, match="--print-links"):
        first_people(PETRA, PAUL)
    assert not User.objects.exists()

    said = first_people(PETRA, PAUL, "--print-links")
    for line in said.splitlines()[:2]:
        assert choose(link_in(line)) == 302


@pytest.mark.django_db
def test_it_is_on_record() -> None:
    first_people(PETRA, PAUL, "--print-links")

    for name in ("petra", "paul"):
        user = User.objects.get(username=name)
        events = AuditEvent.objects.filter(subject_type="policies.user", subject_id=user.pk)
        assert list(events.order_by("id").values_list("code", "actor_id")) == [
            ("user.created", "first_people"),
            ("user.link_issued", "first_people"),
        ]
        assert user.groups.get().name == "ops admin"
        assert user.history.count() > 0


@pytest.mark.django_db
def test_it_refuses_once_there_is_an_ops_admin() -> None:
    first_people(PETRA, PAUL, "--print-links")

    with pytest.raises(CommandError, match="There is an ops admin already"):
        first_people("eve=eve@villain.example", "mal=mal@villain.example", "--print-links")
    User.objects.filter(username__in=["petra", "paul"]).update(is_active=False)
    with pytest.raises(CommandError, match="There is an ops admin already"):
        first_people("eve=eve@villain.example", "mal=mal@villain.example", "--print-links")

    assert not User.objects.filter(username__in=["eve", "mal"]).exists()


@pytest.mark.django_db
def test_links_that_lapsed_are_made_again_for_the_same_two_until_one_has_a_password() -> None:
    first = first_people(PETRA, PAUL, "--print-links")

    again = first_people("--again", "--print-links")
    assert choose(link_in(again.splitlines()[0])) == 302

    with pytest.raises(CommandError, match="has chosen a password already"):
        first_people("--again", "--print-links")
    assert choose(link_in(first.splitlines()[0])) == 410
    assert User.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("people", "sentence"),
    [
        ([], "Name two different people"),
        ([PETRA], "Name two different people"),
        ([PETRA, PETRA], "Name two different people"),
        ([PETRA, "Petra=other@retailer.example"], "Name two different people"),
        ([PETRA, "paul=PETRA@retailer.example"], "Name two different people"),
        ([PETRA, PAUL, "third=third@retailer.example"], "Name two different people"),
        ([PETRA, "paul"], "is not NAME=mail"),
        ([PETRA, "paul=nobody"], "'nobody' is not a mail address"),
        ([PETRA, "pa ul=paul@retailer.example"], "'pa ul' is not a user name"),
        ([PETRA, "=paul@retailer.example"], "'' is not a user name"),
        ([PETRA, "x" * 90 + "=paul@retailer.example"], "more than 64 characters"),
    ],
)
def test_it_takes_two_different_people_who_can_be_mailed(people: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=re.escape(sentence)):
        first_people(*people, "--print-links")

    assert not User.objects.exists()


@pytest.mark.django_db
def test_a_mail_server_that_is_down_is_said_and_the_links_can_be_had_again(
    settings: Settings,
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9

    with pytest.raises(CommandError, match="first_people --again"):
        first_people(PETRA, PAUL)

    assert choose(link_in(first_people("--again", "--print-links"))) == 302


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_commands_at_once_make_two_people() -> None:
    sync_roles(actor=SYSTEM)

    def create(*names: str) -> object:
        people = [(name, f"{name}@retailer.example") for name in names]
        return create_first_people(people, delivery=Delivery.PRINTED)

    (lost,) = losers(at_once(partial(create, "petra", "paul"), partial(create, "eve", "mal")))

    assert isinstance(lost, PolicyError), repr(lost)
    assert lost.code == "already_people"
    assert User.objects.filter(groups__name="ops admin").count() == 2


@pytest.mark.django_db
def test_check_names_an_installation_in_which_nobody_gives_roles(settings: Settings) -> None:
    settings.DEMO = False

    (warning,) = check_somebody_gives_roles()
    assert "first_people" in str(warning.hint)

    first_people(PETRA, PAUL, "--print-links")
    assert check_somebody_gives_roles() == []
