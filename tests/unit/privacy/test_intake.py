"""A mail to the officer becomes a request with an acknowledgement; what is no letter of a person becomes nothing."""

from __future__ import annotations

import contextlib
import time
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapi.mail import MemoryMail
from chatapi.store.case_states import ON_HOLD
from privacy.intake.handler import PREFIX, Ports, receive
from privacy.intake.letters import MAX_HEAD, Letter, NotALetter, Verdicts, read
from privacy.intake.service import INTAKE, Intake
from tests.unit.privacy.world import World

ALICE = "alice.canary@example.org"
PASS = dict.fromkeys(Verdicts._fields, "PASS")


def mail(body: str = "please erase canary-body", **headers: str) -> bytes:
    message = EmailMessage()
    for name, value in {
        "From": f"Alice <{ALICE}>",
        "To": "privacy@chatapi.com",
        "Subject": "canary",
        **headers,
    }.items():
        message[name.replace("_", "-")] = value
    message.set_content(body)
    return message.as_bytes()


class Bucket:
    """Objects in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.read = 0

    def head(self, key: str, size: int) -> bytes:
        self.read += size
        return self.objects[key][:size]


class Desk:
    """The intake over fakes."""

    def __init__(self) -> None:
        self.world, self.bucket, self.mail = World(), Bucket(), MemoryMail()
        intake = Intake(
            self.world.cases,
            self.mail,
            self.world.clock,
            lambda: b"p" * 86,
            own="privacy@chatapi.com",
            portal="https://portal.example.org/",
        )
        self.ports = Ports(intake, self.bucket)
        self.count = 0

    def receive(
        self, body: bytes | None = None, source: str = ALICE, name: str | None = None, **verdicts: str
    ) -> dict[str, Any]:
        self.count += 1
        name = name or f"ses{self.count}"
        self.bucket.objects[PREFIX + name] = mail() if body is None else body
        receipt = {f"{check}Verdict": {"status": word} for check, word in {**PASS, **verdicts}.items()}
        event = {"Records": [{"ses": {"mail": {"messageId": name, "source": source}, "receipt": receipt}}]}
        return receive(self.ports, event)


def test_a_mail_is_a_request_that_waits_for_identity_and_is_acknowledged() -> None:
    desk = Desk()
    result = desk.receive()
    # a case of the one model, whose clock stands
    (case,) = desk.world.cases.list(INTAKE)[0]
    assert result == {"request": case.id, "outcome": "acknowledged"}
    assert (case.status, case.get("reason"), case.get("mails")) == (ON_HOLD, "identity", [PREFIX + "ses1"])
    # and its number reaches the sender, with what happens next
    (sent,) = desk.mail.sent
    assert sent.to == ALICE
    assert case.id in sent.subject
    assert case.id in sent.text
    assert "https://portal.example.org/" in sent.text
    # while nothing that was written is kept
    kept = str(desk.world.requests.rows)
    assert "canary" not in kept
    assert "alice" not in kept
    assert "canary" not in sent.text.replace(case.id, "")


def test_further_mails_join_the_open_request_and_are_acknowledged_once_a_day() -> None:
    desk = Desk()
    first = desk.receive()["request"]
    assert desk.receive(mail(From="ALICE.Canary@Example.org")) == {"request": first, "outcome": "repeated"}
    desk.world.clock.advance(86400)
    assert desk.receive() == {"request": first, "outcome": "acknowledged"}
    assert desk.receive(mail(From="bob@example.org"))["request"] != first
    for _ in range(30):
        desk.receive()
    assert len(desk.world.cases.get(INTAKE, str(first)).get("mails")) == 20
    assert len(desk.mail.sent) == 3


def test_an_event_that_comes_twice_is_one_request_and_one_answer() -> None:
    desk = Desk()
    assert desk.receive(name="same")["request"] == desk.receive(name="same")["request"]
    assert len(desk.mail.sent) == 1
    (case,) = desk.world.cases.list(INTAKE)[0]
    assert case.get("mails") == [PREFIX + "same"]


def test_where_the_mail_service_fails_the_next_try_acknowledges() -> None:
    desk = Desk()

    class Broken:
        def send(self, to: str, subject: str, text: str) -> None:
            raise ConnectionError

    working, desk.ports.intake._mail = desk.ports.intake._mail, Broken()
    with pytest.raises(ConnectionError):
        desk.receive(name="same")
    desk.ports.intake._mail = working
    assert desk.receive(name="same")["outcome"] == "acknowledged"


@pytest.mark.parametrize(
    ("headers", "source"),
    [
        ({"Auto_Submitted": "auto-replied"}, ALICE),
        ({"Auto_Submitted": "auto-generated; x"}, ALICE),
        ({"Precedence": "bulk"}, ALICE),
        ({"Precedence": "auto_reply"}, ALICE),
        ({"List_Id": "<x.example.org>"}, ALICE),
        ({"X_Auto_Response_Suppress": "All"}, ALICE),
        ({"From": "MAILER-DAEMON@example.org"}, ALICE),
        ({"From": "no-reply@example.org"}, ALICE),
        ({}, ""),
        ({}, "<>"),
        ({"From": "privacy@chatapi.com"}, "privacy@chatapi.com"),
    ],
)
def test_what_a_program_wrote_is_not_answered(headers: dict[str, str], source: str) -> None:
    desk = Desk()
    assert desk.receive(mail(**headers), source)["request"] is None
    assert (desk.mail.sent, desk.world.requests.rows) == ([], {})


def test_a_bounce_is_not_answered() -> None:
    desk = Desk()
    report = mail().replace(b"Content-Type: text/plain", b"Content-Type: multipart/report; report-type=delivery-status")
    assert b"multipart/report" in report
    assert desk.receive(report)["request"] is None


@pytest.mark.parametrize("verdicts", [{"spam": "FAIL"}, {"virus": "FAIL"}])
def test_spam_and_malware_become_nothing(verdicts: dict[str, str]) -> None:
    desk = Desk()
    assert desk.receive(**verdicts) == {"request": None, "outcome": "harmful"}
    assert desk.world.requests.rows == {}


@pytest.mark.parametrize(
    ("verdicts", "source", "answered"),
    [
        ({"dmarc": "PASS", "spf": "FAIL"}, ALICE, True),
        ({"dmarc": "GRAY"}, "bounce+1@example.org", True),
        ({"dmarc": "GRAY"}, "evil@attacker.test", False),
        ({"dmarc": "GRAY", "spf": "FAIL"}, ALICE, False),
        ({"dmarc": "GRAY", "spf": "GRAY"}, ALICE, False),
        ({"dmarc": "FAIL"}, ALICE, False),
        ({"dmarc": "PROCESSING_FAILED", "spf": "PROCESSING_FAILED"}, ALICE, False),
    ],
)
def test_only_a_sender_whose_domain_vouches_is_written_to_and_the_request_stands_all_the_same(
    verdicts: dict[str, str], source: str, answered: bool
) -> None:
    desk = Desk()
    result = desk.receive(None, source, **verdicts)
    assert result["request"]
    assert bool(desk.mail.sent) is answered
    assert result["outcome"] == ("acknowledged" if answered else "not_vouched")


@pytest.mark.parametrize(
    "sender",
    [
        b"From: a@example.org\r\nFrom: b@example.org",
        b"From: a@example.org, b@example.org",
        b"From: Alice",
        b"From: <>",
        b"X: y",
        b"From: \"a\r\n Bcc: victim@example.org\" <a@example.org\r\n >",
        b"From: a@example.org\r\n\tvictim@example.org",
        b"From: =?utf-8?q?a=40example=2Eorg=0ABcc=3A_b=40x=2Etest?=",
        b"From: a@" + b"x" * 300 + b".org",
        b"From: " + b"(" * 2000 + b"a@example.org",
    ],
)  # fmt: skip
def test_headers_cannot_be_injected_and_one_person_is_answered_or_none(sender: bytes) -> None:
    desk = Desk()
    desk.receive(sender + b"\r\nSubject: x\r\n\r\nbody")
    assert all(sent.to == "a@example.org" for sent in desk.mail.sent)
    assert len(desk.mail.sent) <= 1


@pytest.mark.parametrize(
    "bomb",
    [
        b"",
        b"X: y\r\n" * 20_000,
        b"X" * 200_000,
        b"\x00" * 200_000,
        b"From: a@example.org\r\n" + b"X: y\r\n" * 300 + b"\r\n",
        b"From: a@example.org\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"From: a@example.org\r\nX:" + b"\r\n y" * 30_000 + b"\r\n\r\n",
        b"From: " + b"<" * 60_000 + b"\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n" * 50_000,
    ],
)
def test_a_mail_bomb_is_bounded_before_it_is_parsed(bomb: bytes) -> None:
    desk = Desk()
    before = time.process_time()
    assert desk.receive(bomb)["request"] is None
    assert desk.bucket.read <= MAX_HEAD
    assert time.process_time() - before < 2  # no stopwatch: what is quadratic would take minutes


def test_the_body_is_never_looked_at() -> None:
    desk = Desk()
    nested = b"From: a@example.org\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n\r\n" * 500_000
    assert desk.receive(nested, "a@example.org")["outcome"] == "acknowledged"
    assert desk.bucket.read == MAX_HEAD


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_letter_or_none(head: bytes) -> None:
    with contextlib.suppress(NotALetter):
        assert isinstance(read(head, ALICE), Letter)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a" * 129, "é"])
def test_a_name_that_ses_does_not_give_is_not_looked_up(name: str) -> None:
    desk = Desk()
    event = {"Records": [{"ses": {"mail": {"messageId": name, "source": ALICE}, "receipt": {}}}]}
    assert receive(desk.ports, event) == {"request": None, "outcome": "name"}
