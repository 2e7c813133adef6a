"""What is taken for a value of which kind, and what is not."""

from __future__ import annotations

import pytest

from chat.redaction.detect import Detector
from chatapi.redaction import KINDS
from tests.support.pem import private_key

EVERYTHING = Detector(KINDS)


def found(text: str, detector: Detector = EVERYTHING) -> list[tuple[str, str]]:
    return [(each.kind, text[each.start : each.end]) for each in detector.find(text)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", "jane.doe+tag@mail.example.co.uk"),
        ("email", "häns@exämple.de"),
        ("email", "o'brien@example.com"),
        ("email", "jane%40example.com"),
        ("email", "jane&#64;example.com"),
        ("email", "jane&#x40;example.com"),
        ("email", "jane&#X0040;example.com"),
        ("email", "jane&commat;example.com"),
        ("email", "jane﹫example.com"),
        ("email", '"jane doe"@example.com'),
        ("email", "jane＠example.com"),
        ("email", r"jane\u0040example.com"),
        ("phone", "+49 (0)30 901820"),
        ("phone", "+1-415-555-2671"),
        ("phone", "+14155552671"),
        ("phone", "0049 30 901820 12"),
        ("phone", "415-555-2671"),
        ("phone", "0170 1234567"),
        ("phone", "030/901820"),
        ("phone", "06.12.34.56.78"),
        ("phone", "138-1234-5678"),
        ("phone", "8 (495) 123-45-67"),
        ("card", "4111 1111 1111 1111"),
        ("card", "4111-1111-1111-1111"),
        ("card", "378282246310005"),
        ("card", "4111_1111_1111_1111"),
        ("card", "5555555555554444"),
        ("card", "٤١١١١١١١١١١١١١١١"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "gb82west12345698765432"),
        ("iban", "FR1420041010050500013M02606"),
        ("ip", "203.0.113.7"),
        ("ip", "2001:db8::8a2e:370:7334"),
        ("ip", "fe80::1"),
        ("national_id", "078-05-1120"),
        ("national_id", "295109912611193"),
        ("national_id", "2 95 10 99 126 111 93"),
        ("national_id", "RCCMNL83S18D969H"),
        ("national_id", "54362315K"),
        ("national_id", "X2482300W"),
        ("national_id", "390.533.447-05"),
        ("national_id", "36574261809"),
        ("national_id", "756.9217.0769.85"),
        ("national_id", "2341 2341 2346"),
        ("national_id", "131052-308T"),
        ("national_id", "880320-0016"),
        ("national_id", "85.07.30-033 28"),
        ("national_id", "AB123456C"),
        ("credential", "AKIAIOSFODNN7EXAMPLE"),
        ("credential", "sk-proj-abcdefghijklmnop1234"),
        ("credential", "ghp_" + "a1" * 18),
        ("credential", "chatapi_live_" + "a1" * 20),
        ("credential", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"),
        ("credential", private_key("MIIE-x", "RSA PRIVATE KEY")),
    ],
)
def test_a_value_is_found_wherever_it_stands(kind: str, value: str) -> None:
    for text in (
        value,
        f"It is {value}, I think.",
        f'{{"a": "{value}"}}',
        f"<b>{value}</b>",
        f"({value})",
        f"あ{value}い",
    ):
        if text.startswith("あ") and kind in ("email", "ip"):
            continue  # letters of any script are part of an address
        assert (kind, value) in found(text) or (kind, value.lstrip("(")) in found(text), text


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("phone", "5550100", "My phone: 5550100"),
        ("national_id", "078051120", "SSN 078051120"),
        ("national_id", "44051401359", "PESEL: 44051401359"),
        ("national_id", "943 476 5870", "NHS number 943 476 5870"),
        ("credential", "hunter2", "password: hunter2"),
        ("credential", "dXNlcjpwYXNzMTIz", "Authorization: Basic dXNlcjpwYXNzMTIz"),
        ("credential", "s3cr3t-value", 'DB_PASSWORD="s3cr3t-value"'),
        ("credential", "abcDEF123456789.x", "Authorization: Bearer abcDEF123456789.x"),
        ("credential", "user:pass", "https://user:pass@host/x"),
    ],
)
def test_some_values_are_known_by_the_words_before_them(kind: str, value: str, text: str) -> None:
    assert (kind, value) in found(text)
    assert all(each.told for each in EVERYTHING.find(text) if text[each.start : each.end] == value)


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # the check digit is wrong
        "DE88370400440532013000",
        "FR99 and more",
        "2024-01-15 10:30:45 and 05-06-2024 10:30, 01.02.2026 12:30",
        "1 234 567 890 people; 130 692 544 more; 3.14159265358979",
        "1700000000000",
        "127.0.0.1, ::1, 0.0.0.0, 255.255.255.0, version 1.2.3.4.5, 300.1.1.1",
        "std::vector<int> a::b 12:30:45",
        "react@18.2.0, @mention, a@b, root@localhost",
        "The secretariat2024, a bearer of news, the password is long",
        "sk-short, eyJ0",
        '{"k": "@example.com"}',
        "call me at 2024-01-15, or on 05-15-2024",
        "deadbeef 0x7f3a9c00 c0ffee00-1234-5678-9abc-def012345678",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
    ],
)
def test_what_only_looks_alike_is_left(text: str) -> None:
    assert found(text) == []


def test_only_the_kinds_that_are_wanted_are_looked_for() -> None:
    text = "jane@example.com 4111 1111 1111 1111 +14155552671"
    assert found(text, Detector(["card"])) == [("card", "4111 1111 1111 1111")]
    assert found(text, Detector([])) == []


def test_a_request_can_name_values_of_its_own() -> None:
    detector = Detector([], ["Ann", "Jane Doe", "田中"])
    text = "ann plans with JANE DOE; Anna and planning; 田中さん"
    assert found(text, detector) == [("value", "ann"), ("value", "JANE DOE"), ("value", "田中")]


def test_finds_that_overlap_become_one_and_leave_nothing() -> None:
    # given a URL whose credential holds an e-mail address
    text = "https://jane:pw@example.com:9@host"
    [span] = EVERYTHING.find(text)
    assert text[span.start : span.end] == "jane:pw@example.com"
    # and a card beside another number
    assert ("card", "4111 1111 1111 1111") in found("12 4111 1111 1111 1111 99")
