"""Status callbacks: each change is told once it can be, in order, signed; what cannot be told is never silence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chatapi.catalogue import Catalogued
from chatapi.outbound import NotReached, Outbound
from chatapi.store.cases import Case
from privacy.dialects.bindings import OPENDSR, Bindings
from privacy.dialects.following import MAX_TRIES, Ports, follow
from tests.unit.privacy.world import PROJECT, World

ID = "a7551968-d5d6-44b2-9831-815ac9017798"
URLS = ("https://one.example.org/", "https://two.example.org/")


class Hooks(Outbound):
    """Answers by URL: a status, or None for no answer."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, int | None] = dict.fromkeys(URLS, 202)
        self.seen: list[tuple[str, Mapping[str, str], Any]] = []

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        answer = self.answers[url]
        if answer is None:
            raise NotReached("timeout")
        self.seen.append((url, headers, json.loads(body)))
        return answer


class Following:
    """A world with a bound case and its hooks."""

    def __init__(self) -> None:
        self.world, self.hooks = World(), Hooks()
        self.bindings = Bindings(Catalogued(self.world.requests, "requests"))
        self.ports = Ports(self.world.cases, self.bindings, self.world.signer, self.hooks, self.world.clock)
        self.case: Case = self.world.case()
        self.bindings.bind(
            PROJECT,
            OPENDSR,
            ID,
            self.case.id,
            root="https://api.example.org/live",
            now=self.world.clock.now(),
            callbacks=URLS,
            told="pending",
        )

    def turn(self) -> tuple[bool, int]:
        result = follow(self.ports, PROJECT, OPENDSR, ID)
        assert result.keys() == {"done", "wait"}
        self.world.clock.advance(result["wait"])
        return result["done"], result["wait"]

    def words(self, url: str = URLS[0]) -> list[str]:
        return [body["request_status"] for seen, _, body in self.hooks.seen if seen == url]


def test_each_change_is_told_once_to_each() -> None:
    following = Following()
    assert following.turn() == (False, 2)
    assert following.hooks.seen == []
    following.world.task(following.case, "verify")
    following.turn()
    following.turn()
    following.world.erase(following.case)
    done, _ = following.turn()
    assert done
    for url in URLS:
        assert following.words(url) == ["in_progress", "completed"]
    _, headers, body = following.hooks.seen[0]
    assert headers["X-OpenDSR-Processor-Domain"] == "api.example.org"
    assert (body["status_callback_url"], body["subject_request_id"]) == (URLS[0], ID)


def test_a_callback_that_fails_is_tried_again_alone_and_with_growing_pauses() -> None:
    following = Following()
    following.hooks.answers[URLS[0]] = 500
    following.hooks.answers[URLS[1]] = None
    following.world.erase(following.case)
    waits = [following.turn()[1] for _ in range(3)]
    assert waits == sorted(waits)
    assert waits[0] < waits[-1]
    following.hooks.answers[URLS[1]] = 200
    assert following.turn()[0] is False
    following.hooks.answers[URLS[0]] = 204
    assert following.turn()[0] is True
    assert following.words(URLS[1]) == ["completed"]
    assert following.words(URLS[0])[-1] == "completed"


def test_a_callback_that_never_answers_is_given_up_and_the_row_says_so() -> None:
    following = Following()
    following.hooks.answers = {URLS[0]: None, URLS[1]: 302}
    following.world.erase(following.case)
    turns = [following.turn()[0] for _ in range(MAX_TRIES)]
    assert turns == [False] * (MAX_TRIES - 1) + [True]
    assert following.bindings.get(PROJECT, OPENDSR, ID).told == ("!completed", "!completed")


def test_a_case_that_takes_long_is_looked_at_ever_more_rarely_and_not_for_ever() -> None:
    following = Following()
    waits = []
    while not (turn := following.turn())[0]:
        waits.append(turn[1])
    assert waits == sorted(waits)
    assert max(waits) == 6 * 3600
    assert len(waits) < 2000
    assert sum(waits) < 365 * 86400  # Step Functions ends every execution at a year
