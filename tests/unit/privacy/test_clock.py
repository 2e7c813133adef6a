"""Story: a hold that ends by its date ends its case, and the officer hears of a request before its term has passed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatapi.aws.errors import AwsError
from chatapi.catalogue import Catalogued
from chatapi.mail import MemoryMail
from chatapi.store.cases import Case
from chatapi.store.holds import Holds
from chatapi.store.keys import CLOCKING, CLOCKING_PK
from chatapi.store.timers import HOLDS, set_timer
from privacy import clock
from privacy.clock import DAY, HOUR, Ports, run
from privacy.intake.letters import Letter, Verdicts
from privacy.intake.service import Intake
from tests.unit.privacy.world import ALICE, BOB, PROJECT, World

OFFICER = "officer@example.com"


class Starts:
    """Executions that run at once, or not at all."""

    def __init__(self, world: World) -> None:
        self.world, self.names, self.broken, self.lost = world, list[str](), False, False

    def start(self, name: str, case: Case) -> None:
        if self.broken:
            raise AwsError("ServiceUnavailable", 503)
        fresh = name not in self.names
        self.names.append(name)
        if fresh and not self.lost:
            self.world.erase(case)


class Post(MemoryMail):
    broken = False

    def send(self, to: str, subject: str, text: str) -> None:
        if self.broken:
            raise AwsError("MailRefused", 500)
        super().send(to, subject, text)


class Office:
    """The clock over the world of an erasure."""

    def __init__(self) -> None:
        self.world = World()
        self.starts, self.mail = Starts(self.world), Post()
        requests = Catalogued(self.world.requests, "requests")
        self.ports = Ports(requests, self.world.cases, self.starts, self.mail, self.world.clock, OFFICER)

    def passes(self, days: float) -> clock.Ran:
        self.world.clock.advance(days * DAY)
        return run(self.ports)

    def timers(self) -> list[str]:
        rows = self.world.requests.rows.values()
        return sorted(str(row["sk"]).rpartition("#")[2] for row in rows if row["kind"] == "timer")

    def held(self, days: int = 10, *holds: int) -> Case:
        self.world.store(ALICE)
        for number, ends in enumerate((days, *holds)):
            self.world.hold(ALICE, ("completion",) if number else ("day",), days=ends, name=f"hold{number}")
        case = self.world.case()
        self.world.erase(case)
        assert self.world.again(case).waiting
        return case


@pytest.fixture
def office() -> Office:
    return Office()


def test_a_hold_that_expires_by_its_date_ends_its_case_without_anyone_asking(office: Office) -> None:
    case = office.held(10)
    assert (office.passes(9.9).started, office.world.again(case).status) == (0, "on_hold")
    assert office.passes(0.2).started == 1
    assert office.world.again(case).status == "completed"
    assert office.world.rows_of(ALICE) == []
    # and the clock forgets it
    assert office.passes(0.05).started == 0
    assert HOLDS not in office.timers()


def test_of_two_holds_each_end_is_seen_once(office: Office) -> None:
    case = office.held(5, 12)
    assert office.passes(5.1).started == 1
    after = office.world.again(case)
    assert (after.status, after.get("until"), after.get("watched")) == (
        "on_hold",
        case.created + 12 * DAY,
        after.get("until"),
    )
    assert [office.passes(1).started for _ in range(6)] == [0] * 6
    assert office.passes(1).started == 1
    assert office.world.again(case).status == "completed"


def test_a_hold_that_is_added_later_is_seen_at_its_own_end(office: Office) -> None:
    case = office.held(5)
    Holds(office.ports.requests).add(PROJECT, ALICE, ["day"], "law", "dpo", days=20, now=office.world.clock.now())
    office.passes(5.1)
    assert office.world.again(case).status == "on_hold"
    office.passes(15)
    assert office.world.again(case).status == "completed"


def test_an_execution_that_was_lost_is_started_again_within_the_hour(office: Office) -> None:
    case = office.held(10)
    office.starts.lost = True
    assert office.passes(10.1).started == 1
    office.starts.lost = False
    assert office.passes(1.1 * HOUR / DAY).started == 1
    assert office.world.again(case).status == "completed"
    assert len(set(office.starts.names)) == 2


def test_one_that_cannot_be_started_stays_and_holds_up_nobody_else(office: Office) -> None:
    case = office.held(10)
    office.world.case(BOB, "dsr_" + "2" * 24)
    office.starts.broken = True
    ran = office.passes(30)
    assert (ran.failed, ran.reminded) == (1, 1)
    office.starts.broken = False
    assert office.passes(1).started == 1
    assert office.world.again(case).status == "completed"


def test_the_officer_is_told_three_times_and_then_weekly_of_opaque_ids_alone(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    case = office.world.case()
    due = case.get("due")
    told: list[tuple[int, str]] = []
    for _ in range(50 * 4):
        before = len(office.mail.sent)
        office.passes(0.25)
        told += [(round((due - office.world.clock.now()) / DAY), mail.text) for mail in office.mail.sent[before:]]
    assert [days for days, _ in told] == [10, 3, 0, -7, -14]
    assert [mail.to for mail in office.mail.sent] == [OFFICER] * 5
    for words, (_, text) in zip(["10 days", "3 days", "overdue", "overdue", "overdue"], told, strict=True):
        assert f"{PROJECT} {case.id}: " in text
        assert words in text
        assert ALICE not in text
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in events if line["event"].startswith("case_")] == ["case_due"] * 2 + [
        "case_overdue"
    ] * 3
    assert all(set(line) <= {"event", "function", "case", "project", "stage"} for line in events)


def test_many_are_one_mail_and_those_that_ended_are_none(office: Office) -> None:
    cases = [office.world.case(f"sub_{n:032}", f"dsr_{n:024}") for n in range(150)]
    for case in cases[:30]:
        office.world.cases.cancel(case)
    ran = office.passes(21)
    assert (ran.reminded, [mail.subject.split()[2] for mail in office.mail.sent]) == (120, ["70", "50"])
    assert office.timers() == ["urgent"] * 120


def test_the_reminders_move_with_the_deadline(office: Office) -> None:
    cases, now = office.world.cases, office.world.clock.now
    extended, paused = office.world.case(), office.world.case(BOB, "dsr_" + "2" * 24)
    cases.extend(extended, "complexity", now())
    paused = cases.pause(paused, now())
    office.passes(25)
    assert [line for mail in office.mail.sent for line in mail.text.splitlines() if ": due" in line] == []
    office.mail.sent.clear()
    cases.resume(paused, now())
    assert office.passes(19).reminded == 0
    assert office.passes(2).reminded == 1
    assert paused.id in office.mail.sent[0].text


def test_the_officer_hears_of_what_waits_for_identity_at_once_and_then_weekly_until_it_goes_on(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    case = office.world.cases.pause(office.world.case(), office.world.clock.now())
    told = [office.passes(0.04).reminded for _ in range(25)]  # an hour each
    assert (told[0], sum(told)) == (1, 1)
    assert f"- {PROJECT} {case.id}: waits until it is known who asks" in office.mail.sent[0].text
    assert ALICE not in office.mail.sent[0].text
    office.passes(30)
    assert [office.passes(7).reminded for _ in range(4)] == [1] * 4
    office.world.cases.resume(office.world.again(case), office.world.clock.now())
    office.mail.sent.clear()
    office.passes(8)
    assert (office.mail.sent, office.timers()) == ([], ["remind"])
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert set(events) == {"case_waits"}


def test_a_mail_reaches_the_officer_within_the_hour(office: Office) -> None:
    intake = Intake(
        office.world.cases, MemoryMail(), office.world.clock, lambda: b"p" * 86, own="dpo@example.com", portal="/portal"
    )
    case, _ = intake.receive("inbound/1", Letter("alice@example.org", "alice@example.org"), Verdicts())
    assert case is not None
    assert office.passes(0.04).reminded == 1
    assert f"- intake {case.id}: " in office.mail.sent[0].text
    assert "alice" not in office.mail.sent[0].text


def test_mail_that_is_not_taken_is_sent_by_the_next_run(office: Office) -> None:
    office.world.case()
    office.mail.broken = True
    assert office.passes(21).failed == 1
    office.mail.broken = False
    assert office.passes(0.1).reminded == 1


def test_an_outage_loses_no_day_and_a_run_without_time_goes_on_where_it_stopped(office: Office) -> None:
    office.passes(0)
    for number in range(250):
        office.world.case(f"sub_{number:032}", f"dsr_{number:024}")
        office.world.clock.advance(HOUR)
    office.world.clock.advance(60 * DAY)
    budget = iter([True, False])
    ran = run(office.ports, lambda: next(budget))
    assert (ran.complete, ran.reminded) == (False, 16)
    assert run(office.ports).reminded == 250 - 16
    assert run(office.ports).done == 0
    assert {case.id for case in office.world.cases.list(PROJECT, limit=300)[0]} == {
        word.rstrip(":") for mail in office.mail.sent for word in mail.text.split() if word.startswith("dsr_")
    }


def test_a_timer_of_a_case_that_never_was_is_let_go(office: Office) -> None:
    set_timer(office.ports.requests, int(office.world.clock.now()), PROJECT, "dsr_" + "9" * 24, HOLDS)
    assert office.passes(0.1).done == 1
    assert office.timers() == []


def test_a_run_twice_is_a_run_once(office: Office) -> None:
    office.world.case()
    office.passes(21)
    assert (office.passes(0).done, len(office.mail.sent)) == (0, 1)
    assert office.world.requests.rows[CLOCKING_PK, CLOCKING]["day"] == int(office.world.clock.now()) // DAY


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 300_000


def test_the_handler_fails_loudly_without_a_text(
    office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(clock._composed, "made", office.ports)
    case = office.world.case()
    assert clock.handler({}, Context()) == {"done": 0, "started": 0, "reminded": 0}
    office.world.clock.advance(21 * DAY)
    office.mail.broken = True
    with pytest.raises(clock.ClockFailed) as caught:
        clock.handler({}, Context())
    assert case.id not in str(caught.value)
    monkeypatch.setattr(clock._composed, "made", office.ports._replace(requests=None))
    with pytest.raises(clock.ClockFailed) as caught:
        clock.handler({}, Context())
    assert caught.value.__cause__ is None
    lines: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"timer_failed", "clock_failed"} <= {line["event"] for line in lines}
