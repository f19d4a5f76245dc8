"""Business hours and freezes, in wall time and over clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from audit.lib.canonical import digest
from policies.document import may_begin_at, time_facts
from policies.models import PolicyVersion
from policies.models.versions import VersionStatus
from policies.parsing.yaml_source import DocumentError
from policies.services.evaluation import held_until as published_until
from policies.services.evaluation import may_begin, window_is_open
from tests.policies.make import DEFAULT_TEXT, SMALL, make_document

BERLIN = ZoneInfo("Europe/Berlin")
TIMES = """\
windows:
  nights: {days: [mon, tue, wed, thu, fri], from: "22:00", to: "04:00", tz: Europe/Berlin}
business_hours: {days: [mon, tue, wed, thu, fri], from: "08:00", to: "18:00", tz: Europe/Berlin}
freezes:
- {name: christmas, from: "2026-12-20T00:00", to: "2027-01-04T00:00", tz: Europe/Berlin,
   action_types: [config.change, access.*], reason: Nobody is here to watch.}
- {name: audit, from: 2026-12-23T12:00, to: 2026-12-23T18:00, tz: Europe/Berlin, reason: Audit.}
"""
DOCUMENT = make_document(SMALL + TIMES)


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold)


def test_the_date_is_the_one_where_business_hours_are() -> None:
    late = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)

    here = time_facts(DOCUMENT, "refund.issue", late)
    in_utc = time_facts(make_document(), "refund.issue", late)
    assert (here.today, here.weekday, here.hour) == ("2026-11-21", "sat", 0)
    assert (in_utc.today, in_utc.weekday, in_utc.hour) == ("2026-11-20", "fri", 23)


def test_business_hours_are_a_window_and_without_them_it_is_always_within() -> None:
    monday, sunday = berlin("2026-11-23T09:00"), berlin("2026-11-22T09:00")

    assert time_facts(DOCUMENT, "x.y", monday).business_hours
    assert not time_facts(DOCUMENT, "x.y", sunday).business_hours
    assert time_facts(DOCUMENT, "x.y", sunday).weekday == "sun"
    assert time_facts(make_document(), "x.y", sunday).business_hours


def test_open_windows_and_freezes_are_facts() -> None:
    found = time_facts(DOCUMENT, "access.grant", berlin("2026-12-23T23:00"))

    assert (found.open_windows, found.freezes) == (("nights",), ("christmas",))


@pytest.mark.parametrize(
    ("action_type", "now", "names"),
    [
        ("config.change", "2026-12-19T23:59", ()),
        ("config.change", "2026-12-20T00:00", ("christmas",)),
        ("access.revoke", "2027-01-03T23:59", ("christmas",)),
        ("access.revoke", "2027-01-04T00:00", ()),
        ("refund.issue", "2026-12-24T10:00", ()),
        ("refund.issue", "2026-12-23T12:00", ("audit",)),
        ("config.change", "2026-12-23T13:00", ("christmas", "audit")),
    ],
)
def test_a_freeze_covers_its_action_types_from_its_first_moment_to_its_end(
    action_type: str, now: str, names: tuple[str, ...]
) -> None:
    assert time_facts(DOCUMENT, action_type, berlin(now)).freezes == names
    assert time_facts(DOCUMENT, action_type, berlin(now).astimezone(UTC)).freezes == names


FREEZE = "freezes:\n- {{name: f, from: {}, to: {}, tz: Europe/Berlin, reason: R.}}\n"


@pytest.mark.parametrize(
    ("begins", "ends", "frozen", "free"),
    [
        # On 25 October 2026 Berlin has 02:30 twice, on 29 March it has none.
        ("2026-10-25T02:30", "2026-10-25T06:00", [("02:30", 0), ("02:30", 1)], [("02:29", 0)]),
        ("2026-10-25T00:00", "2026-10-25T02:30", [("02:30", 0), ("02:29", 1)], [("02:30", 1)]),
        ("2026-03-29T02:30", "2026-03-29T06:00", [("01:30", 0), ("03:00", 0)], [("01:29", 0)]),
        ("2026-03-29T00:00", "2026-03-29T02:30", [("03:29", 0)], [("03:30", 0)]),
    ],
)
def test_where_the_clocks_change_a_freeze_is_never_shorter_than_it_says(
    begins: str, ends: str, frozen: list[tuple[str, int]], free: list[tuple[str, int]]
) -> None:
    document = make_document(SMALL + FREEZE.format(begins, ends))

    for times, names in [(frozen, ("f",)), (free, ())]:
        for time, fold in times:
            now = berlin(f"{begins[:10]}T{time}", fold)
            assert time_facts(document, "x.y", now).freezes == names, time


@pytest.mark.parametrize(
    ("window", "action_type", "now", "opening"),
    [
        ("", "refund.issue", "2026-12-24T10:00", "2026-12-24T10:00"),
        ("", "refund.issue", "2026-12-23T12:30", "2026-12-23T18:00"),
        ("", "config.change", "2026-12-23T12:30", "2027-01-04T00:00"),
        ("nights", "config.change", "2026-12-23T12:30", "2027-01-04T22:00"),
        ("nights", "refund.issue", "2026-12-23T12:30", "2026-12-23T22:00"),
        ("nights", "refund.issue", "2026-12-23T23:00", "2026-12-23T23:00"),
    ],
)
def test_execution_begins_when_the_window_is_open_and_no_freeze_is_on(
    window: str, action_type: str, now: str, opening: str
) -> None:
    assert may_begin_at(DOCUMENT, window, action_type, berlin(now)) == berlin(opening)


def test_a_window_the_document_does_not_have_never_opens() -> None:
    assert may_begin_at(DOCUMENT, "days", "x.y", berlin("2026-12-24T10:00")) is None


@pytest.mark.django_db
def test_the_published_policys_freezes_hold_and_its_windows_are_asked_apart() -> None:
    now = datetime(2026, 12, 20, 12, tzinfo=UTC)
    text = DEFAULT_TEXT.replace(
        "freezes: []",
        "freezes:\n- {name: f, from: 2026-12-20T00:00, to: 2026-12-21T00:00, tz: UTC, reason: R.}",
    )
    PolicyVersion.objects.create(
        label="1",
        document=text,
        digest=digest(text),
        status=VersionStatus.PUBLISHED,
        created_at=now,
        published_at=now,
    )

    assert not may_begin("changes", "config.change", now)
    assert not may_begin("", "refund.issue", now)
    assert published_until("", "refund.issue", now) == now + timedelta(hours=12)
    assert window_is_open("changes", now)
    assert not window_is_open("weekends", now)


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("2026-12-23T12:00", "2026-12-23", "freezes[1].from", "write 2026-12-20T00:00"),
        ("2026-12-23T12:00", "2026-11-31T12:00", "freezes[1].from", "not a date and time"),
        ("2026-12-23T18:00", "2026-12-23T12:00", "freezes[1].to", "is not after 'from'"),
        ("name: audit", "name: christmas", "freezes", "used 2 times"),
        ("config.change, access.*", "config", "freezes[0].action_types[0]", "a family"),
        ("config.change, access.*", "", "freezes[0].action_types", "leave it out for all"),
        (", reason: Audit.", "", "freezes[1]", "'reason' is missing"),
        ("18:00, tz: Europe/Berlin, reason", "18:00, tz: Berlin, reason", "freezes[1].tz", "zone"),
        ("business_hours: {days: [mon", "business_hours: {days: [mo", "business_hours.days[0]",
         "Did you mean 'mon'?"),
    ],
)  # fmt: skip
def test_times_that_cannot_be_read_are_refused_with_their_place(
    old: str, new: str, path: str, message: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        make_document(SMALL + TIMES, (old, new))

    (problem,) = [p for p in refused.value.problems if p.path == path]
    assert message in problem.message
