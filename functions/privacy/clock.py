"""Entry point of the schedule: what is due today is looked at (chatapi.store.timers).

A hold that has ended starts its case again, which erases what was held (RGT-6). A request that comes near its end is
told to the data protection officer, with others in one mail of opaque ids (DPO-2), and so is one that waits until it is
known who asks: nobody else would look at it (DPO-1). A timer is deleted when what it asks for is done, so a run that is
repeated, doubled or late does no harm: a case is started under one name an hour and looks at itself, a reminder may
come twice. An outage loses nothing: a run begins at the last day that was done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chatapi.aws.errors import AwsError
from chatapi.catalogue import expiry, read_policy
from chatapi.clock import Clock, day_of
from chatapi.errors import NotFound
from chatapi.logs import log, log_error
from chatapi.mail import Mail
from chatapi.store.case_states import ON_HOLD
from chatapi.store.cases import Case, Cases
from chatapi.store.items import Key, Table
from chatapi.store.keys import CLOCKING, CLOCKING_PK, timer_pk
from chatapi.store.timers import BEFORE, HOLDS, NEXT, OVERDUE, WAITING, set_reminder, set_timer
from chatapi.warm import Warm
from privacy.service import Executions
from privacy.tasks.timers import hold_ends
from privacy.waiting import settled, waits

DAY, HOUR = 86_400, 3600
MOST_DAYS = 40
"""How far the first run looks back."""
_AGAIN = 7 * DAY
"""How often the officer is told of a request that is overdue, or waits."""
_PAGE = 100
_RESERVE_MS = 30_000


class ClockFailed(Exception):
    """What Lambda gets to see of any failure."""

    def __init__(self) -> None:
        super().__init__("the clock failed; the log names the error's type and place")


class Ports(NamedTuple):
    """What the clock works on. `requests` is the catalogued table; `officer` the address of the reminders."""

    requests: Table
    cases: Cases
    executions: Executions
    mail: Mail
    clock: Clock
    officer: str


class Timer(NamedTuple):
    """A timer that is due."""

    key: Key
    project: str
    case: str
    what: str


@dataclass
class Ran:
    """What a run did: timers that are done, cases that were started, reminders that were sent, timers that failed."""

    done: int = 0
    started: int = 0
    reminded: int = 0
    failed: int = 0
    complete: bool = True


@dataclass
class _Page:
    """A page's timers: those to delete, and the reminders that go into one mail first."""

    done: list[Key] = field(default_factory=list)
    reminders: list[tuple[Timer, Case, int]] = field(default_factory=list)


def run(ports: Ports, more_time: Callable[[], bool] = lambda: True) -> Ran:
    """Do what is due. A timer that fails stays, and is tried again by the next run."""
    now, ran = int(ports.clock.now()), Ran()
    mark = ports.requests.get(CLOCKING_PK, CLOCKING)
    today = now // DAY
    reached = first = today - MOST_DAYS if mark is None else min(int(mark["day"]), today)
    for number in range(first - 1, today + 1):  # a timer for "now" may be written just after midnight
        for page in _pages(ports.requests, day_of(number * DAY), now):
            if not more_time():
                ran.complete = False
                break
            _do(ports, page, now, ran)
        if not ran.complete:
            break
        if not ran.failed:  # what failed stays, and holds up nothing that comes after it
            reached = number
    row = {"pk": CLOCKING_PK, "sk": CLOCKING, "kind": "clocking", "day": reached}
    ports.requests.put({**row, "ttl": expiry("clocking", now)})
    return ran


def _pages(requests: Table, date: str, now: int) -> Iterator[list[Timer]]:
    after: str | None = None
    while rows := requests.query(timer_pk(date), after=after, limit=_PAGE):
        after = rows[-1]["sk"]
        parts = [(row, row["sk"].split("#")) for row in rows]
        timers = [Timer((row["pk"], row["sk"]), *rest) for row, (at, *rest) in parts if int(at) <= now]
        yield timers
        if len(timers) < _PAGE:
            return


def _do(ports: Ports, timers: list[Timer], now: int, ran: Ran) -> None:
    page = _Page()
    for timer in timers:
        try:
            case = ports.cases.get(timer.project, timer.case)
        except NotFound:
            page.done.append(timer.key)  # it never came to be, or its own term has passed
            continue
        try:
            if timer.what == HOLDS:
                ran.started += _holds(ports, case, now)
                page.done.append(timer.key)
            else:
                _reminder(ports, timer, case, now, page)
        except AwsError as error:
            _failed(ran, error, 1)
    if page.reminders:
        try:
            _tell(ports, page, now)
            ran.reminded += len(page.reminders)
        except AwsError as error:
            _failed(ran, error, len(page.reminders))
    ports.requests.delete_all(page.done)
    ran.done += len(page.done)


def _failed(ran: Ran, error: AwsError, timers: int) -> None:
    log_error("timer_failed", error, function="clock", code=error.code, count=timers)
    ran.failed += timers


def _holds(ports: Ports, case: Case, now: int) -> bool:
    """Start a case that waits for a hold which has ended, and look again in an hour whether it went on. True where it
    was started."""
    if not case.waiting:
        return False
    ends = hold_ends(ports.requests, case, now)
    if ends and case.get("watched") == min(ends):
        return False  # it has looked at its holds already and waits for the next one's end
    ports.executions.start(f"{case.id}-{now // HOUR}", case)
    set_timer(ports.requests, now + HOUR, case.project, case.id, HOLDS)
    log("case_released", function="clock", case=case.id, project=case.project)
    return True


def _reminder(ports: Ports, timer: Timer, case: Case, now: int, page: _Page) -> None:
    """Take a reminder up, unless the request has ended or its deadline has moved meanwhile."""
    case = settled(ports.cases, case, now)
    if timer.what == WAITING:
        if waits(case):
            page.reminders.append((timer, case, 0))
        else:
            page.done.append(timer.key)
        return
    if case.open:
        due = int(case.get("due"))
        if case.status == ON_HOLD:
            due += max(0, now - int(case.get("paused")))  # the clock stands while identity is in doubt
        if due - BEFORE[timer.what] <= now:
            what = timer.what
            while what in NEXT and due - BEFORE[NEXT[what]] <= now:  # after an outage: what is true now, once
                what = NEXT[what]
            page.reminders.append((timer._replace(what=what), case, due))
            return
        set_reminder(ports.requests, due, case.project, case.id, timer.what)
    page.done.append(timer.key)


def _tell(ports: Ports, page: _Page, now: int) -> None:
    """One mail for a page's reminders; then the next of each is set."""
    words, lines = read_policy("rights")["reminders"], ""
    for timer, case, _ in page.reminders:
        lines += f"- {case.project} {case.id}: {words[timer.what]}\n"
        ids = {"case": case.id, "project": case.project}
        if timer.what in (OVERDUE, WAITING):
            log("case_overdue" if timer.what == OVERDUE else "case_waits", function="clock", **ids)
        else:
            log("case_due", function="clock", stage=timer.what, **ids)
    count = len(page.reminders)
    ports.mail.send(ports.officer, words["subject"].format(count=count), words["text"].format(lines=lines))
    for timer, case, due in page.reminders:
        if timer.what in NEXT:
            set_reminder(ports.requests, due, case.project, case.id, NEXT[timer.what])
        else:
            set_timer(ports.requests, now + _AGAIN, case.project, case.id, timer.what)
        page.done.append(timer.key)


@Warm
def _composed() -> Ports:
    """The composition root: made once per warm function, at the first run, never at init."""
    from chatapi.aws.client import AwsClient
    from chatapi.clock import SystemClock
    from chatapi.environment import region, setting
    from chatapi.mail import SesMail
    from chatapi.wiring import store_of
    from privacy.executions import StepFunctions

    here, clock = region(), SystemClock()
    dynamodb = AwsClient("dynamodb", region=here, timeout=5.0, attempts=4)
    requests = store_of(dynamodb, "requests", clock)
    executions = StepFunctions(AwsClient("states", region=here), {"erasure": setting("ERASURE_MACHINE")})
    mail = SesMail(AwsClient("email", region=here, timeout=5.0), setting("MAIL_FROM"))
    return Ports(requests, Cases(requests), executions, mail, clock, setting("OFFICER"))


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """One run. The event says nothing that is needed. ClockFailed where a timer failed, after all others were done."""
    del event
    try:
        ran = run(_composed(), lambda: context.get_remaining_time_in_millis() > _RESERVE_MS)
    except Exception as error:  # noqa: BLE001 - an error's text could quote a key
        log_error("clock_failed", error, function="clock", code=getattr(error, "code", None))
        raise ClockFailed from None
    outcome = "failed" if ran.failed else "ok" if ran.complete else "incomplete"
    log("clocked", function="clock", count=ran.done, outcome=outcome)
    if ran.failed:
        raise ClockFailed
    return {"done": ran.done, "started": ran.started, "reminded": ran.reminded}
