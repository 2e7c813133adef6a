"""Signing in by a code in a mail, and every way that must not lead in."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from chatapi.errors import BadRequest, RateLimited
from chatapi.vault import project_pepper, subject_id
from privacy.identity.challenges import CODE_SECONDS, MAX_AN_HOUR, MAX_TRIES
from privacy.identity.sender import random_code, send
from privacy.identity.service import CodeRefused
from tests.support.canary import as_bytes
from tests.unit.identity.world import BASE, OWNER, PEPPER, People
from tests.unit.privacy.world import PROJECT


@pytest.fixture
def people() -> People:
    made = People()
    made.contacts.set(PROJECT, OWNER)
    return made


def wrong(code: str) -> str:
    return f"{(int(code.replace(' ', '')) + 1) % 10**8:08d}"


def test_the_owner_signs_in_by_the_code_and_is_the_owner_alone(people: People) -> None:
    name = people.begin()
    session = people.identity.redeem(name, people.code())
    assert session.subject == subject_id(project_pepper(PEPPER, PROJECT), "owner", PROJECT)
    assert (session.project, session.owner) == (PROJECT, True)
    # and what the browser keeps of it leads back to the same, for fifteen minutes
    token = people.identity.token(session)
    assert people.identity.who(token) == session
    people.world.clock.advance(900)
    assert people.identity.who(token) is None


def test_the_mail_goes_to_the_stored_address_whatever_case_was_typed_and_has_a_link(people: People) -> None:
    name = people.begin("Owner@EXAMPLE.com")
    (mail,) = people.mail.sent
    assert mail.to == OWNER
    assert f"{BASE}/code?c={name}&code={people.code().replace(' ', '')}" in mail.text


def test_an_unknown_address_a_project_without_owner_and_one_that_is_not_there_look_the_same(people: People) -> None:
    rows: list[list[tuple[str, ...]]] = []
    for project, address in ((PROJECT, OWNER), (PROJECT, "other@example.com"), ("projectB", OWNER)):
        before = set(people.world.requests.rows)
        name = people.identity.begin(project, address, BASE, "en")
        # the same kinds and fields are written, and the sender is started, before anybody looks the address up
        new = [row for key, row in people.world.requests.rows.items() if key not in before]
        rows.append(sorted(tuple(sorted(row)) for row in new))
        assert people.queue.started == [name]
        people.deliver()
    assert rows[0] == rows[1] == rows[2]
    assert [mail.to for mail in people.mail.sent] == [OWNER]


def test_a_decoy_is_refused_like_a_wrong_code(people: People) -> None:
    name = people.begin("other@example.com")
    refusals = []
    for challenge, code in ((name, "12345678"), ("z" * 24, "12345678"), ("", ""), (name, "١٢٣٤٥٦٧٨"), (name, "1" * 99)):
        with pytest.raises(CodeRefused) as refused:
            people.identity.redeem(challenge, code)
        refusals.append(refused.value.body())
    assert len(set(refusals)) == 1


def test_a_code_works_once(people: People) -> None:
    name = people.begin()
    people.identity.redeem(name, people.code())
    with pytest.raises(CodeRefused):
        people.identity.redeem(name, people.code())


def test_five_guesses_end_a_challenge_even_for_the_right_code(people: People) -> None:
    name = people.begin()
    for _ in range(MAX_TRIES):
        with pytest.raises(CodeRefused):
            people.identity.redeem(name, wrong(people.code()))
    with pytest.raises(CodeRefused):
        people.identity.redeem(name, people.code())


def test_a_code_ends_after_ten_minutes_and_belongs_to_its_challenge(people: People) -> None:
    first = people.begin()
    code = people.code()
    second = people.begin()
    with pytest.raises(CodeRefused):  # a code of another challenge
        people.identity.redeem(second, code)
    people.world.clock.advance(CODE_SECONDS)
    with pytest.raises(CodeRefused):
        people.identity.redeem(first, code)


def test_codes_are_bounded_by_the_hour_for_known_and_unknown_alike(people: People) -> None:
    for address in (OWNER, "other@example.com"):
        for _ in range(MAX_AN_HOUR):
            people.begin(address)
        with pytest.raises(RateLimited):
            people.begin(address)
    assert len(people.mail.sent) == MAX_AN_HOUR
    people.world.clock.advance(3600)
    people.begin()
    assert len(people.mail.sent) == MAX_AN_HOUR + 1


def test_a_repeated_event_sends_a_fresh_code_until_the_first_guess_and_none_afterwards(people: People) -> None:
    name = people.begin()
    first = people.code()
    assert send(people.sender, name)  # Lambda delivered the event twice
    assert people.code() != first
    with pytest.raises(CodeRefused):
        people.identity.redeem(name, first)
    assert not send(people.sender, name)
    people.identity.redeem(name, people.code())
    assert not send(people.sender, name)


def test_of_many_verifications_at_once_one_wins(people: People) -> None:
    name, code = people.begin(), people.code()
    lock, outcomes = threading.Lock(), list[Any]()
    real = people.world.requests.update

    def locked(*args: Any) -> Any:
        with lock:  # DynamoDB serialises the updates of one item
            return real(*args)

    people.world.requests.update = locked  # type: ignore[method-assign]

    def verify() -> None:
        try:
            outcomes.append(people.identity.redeem(name, code))
        except CodeRefused:
            outcomes.append(None)

    threads = [threading.Thread(target=verify) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([outcome for outcome in outcomes if outcome]) == 1


def test_nothing_that_was_typed_is_stored(people: People) -> None:
    name = people.begin()
    stored = as_bytes(list(people.world.requests.rows.values()))
    for text in (OWNER, people.code(), people.code().replace(" ", "")):
        assert text.encode() not in stored
    people.identity.redeem(name, people.code())


@pytest.mark.parametrize(
    ("project", "address"),
    [
        ("", OWNER),
        ("short", OWNER),
        (PROJECT, ""),
        (PROJECT, "no address"),
        (PROJECT, "a@b\r\nBcc: x@y"),
        (PROJECT, "a@b,c@d"),
    ],
)
def test_what_cannot_be_a_project_or_an_address_is_said(people: People, project: str, address: str) -> None:
    with pytest.raises(BadRequest) as refused:
        people.begin(address, project)
    assert refused.value.param in ("project", "address")
    assert not people.queue.started


def test_an_erased_owner_gets_no_code(people: People) -> None:
    owner = subject_id(project_pepper(PEPPER, PROJECT), "owner", PROJECT)
    people.world.erase(people.world.case(owner))
    assert people.contacts.get(PROJECT) is None
    people.begin()
    assert people.mail.sent == []
    # and a new contact of the next generation does
    people.contacts.set(PROJECT, "new@example.com")
    people.begin("new@example.com")
    assert [mail.to for mail in people.mail.sent] == ["new@example.com"]


def test_codes_are_eight_digits() -> None:
    codes = {random_code() for _ in range(200)}
    assert len(codes) > 190
    assert all(len(code) == 8 and code.isdigit() for code in codes)
