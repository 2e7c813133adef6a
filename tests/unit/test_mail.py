"""The mail port: one recipient, no header of a stranger's, SES's own answer."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from chatapi.aws.errors import AwsError
from chatapi.mail import MemoryMail, SesMail, is_address


class Ses:
    """A client that records what it is asked and answers with a status."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.asked: list[tuple[str, str, Any]] = []

    def open(self, method: str, target: str, body: bytes = b"", headers: Any = None) -> tuple[int, Any, Any]:
        self.asked.append((method, target, json.loads(body)))
        return self.status, headers, io.BytesIO(b"{}")


@pytest.mark.parametrize("good", ["a@b.example", "first.last+tag@mail.example.com", "x@localhost"])
def test_an_address_is_one(good: str) -> None:
    assert is_address(good)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "a",
        "a@",
        "@b",
        "a b@c",
        "a@b c",
        "a@b\n",
        "a@b\r\nBcc: c@d",
        "a@b,c@d",
        "Name <a@b>",
        "a@b..c",
        "a" * 250 + "@b.c",
        "ä@b.c",
        "a@-b",
        "a@b.",
    ],
)
def test_anything_else_is_none(bad: str) -> None:
    assert not is_address(bad)
    with pytest.raises(ValueError, match="not an address"):
        MemoryMail().send(bad, "s", "t")


def test_ses_gets_one_recipient_and_plain_text() -> None:
    ses = Ses()
    SesMail(ses, "privacy@chatapi.com").send("a@b.example", "Größe", "text\nmore")
    ((method, target, message),) = ses.asked
    assert (method, target) == ("POST", "/v2/email/outbound-emails")
    assert message["Destination"] == {"ToAddresses": ["a@b.example"]}
    assert message["FromEmailAddress"] == "privacy@chatapi.com"
    assert message["Content"]["Simple"]["Subject"]["Data"] == "Größe"
    assert set(message["Content"]["Simple"]["Body"]) == {"Text"}
    assert message["Content"]["Simple"]["Headers"] == [{"Name": "Auto-Submitted", "Value": "auto-generated"}]


def test_a_subject_of_two_lines_is_refused_and_a_refusal_of_ses_is_an_error_without_the_address() -> None:
    with pytest.raises(ValueError, match="one line"):
        MemoryMail().send("a@b.example", "s\r\nBcc: c@d", "t")
    with pytest.raises(AwsError) as refused:
        SesMail(Ses(400), "privacy@chatapi.com").send("a@b.example", "s", "t")
    assert "example" not in str(refused.value)
