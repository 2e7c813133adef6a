"""An admission whose answer is lost is sent again by the client of DynamoDB, and debits nothing twice."""

from __future__ import annotations

from typing import Any

import pytest

from chatapi.aws.errors import AwsUnavailable
from chatapi.clock import FixedClock
from chatapi.limits.windows import requests_per_minute, tokens_per_minute
from chatapi.verdict import estimate
from tests.support.fake_projects import FakeProjects
from tests.unit.authorizer.test_decide import CHAT, KEY, authorizer, project, refused


class Forgetful(FakeProjects):
    """Does each update, and then as a client does whose answer was lost: sends it again."""

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        super().call(operation, payload)
        return super().call(operation, payload)


def test_a_chat_that_is_sent_twice_is_debited_once() -> None:
    # given a store whose every answer is lost once
    store, clock = Forgetful(project(conc=5)), FixedClock()
    # when a chat comes
    verdict = authorizer(store, clock).decide(f"Bearer {KEY}", **CHAT)
    # then one request, its tokens and one slot are taken, and the verdict knows the slot
    item, now = store.items["p#project1"], clock.now()
    assert [item[window.name] for window in requests_per_minute(now)] == [99, 99]
    assert [item[window.name] for window in tokens_per_minute(now)] == [1_000_000 - estimate(400)] * 2
    assert item["inf"] == {verdict.slot}
    assert verdict.ratelimit["x-ratelimit-remaining-requests"] == "99"


def test_the_last_slot_too() -> None:
    # given room for one chat, when it is sent twice, then it is admitted, and a second one is not
    store = Forgetful(project(conc=1))
    service = authorizer(store)
    assert service.decide(f"Bearer {KEY}", **CHAT).slot
    assert refused(service)["reason"] == "concurrency"


def test_an_admission_that_was_never_answered_leaves_one_slot_that_heals() -> None:
    class Silent(FakeProjects):
        def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
            super().call(operation, payload)
            raise AwsUnavailable("Timeout")

    # given a store that does what it is told and never says so
    store = Silent(project())
    with pytest.raises(AwsUnavailable):
        authorizer(store).decide(f"Bearer {KEY}", **CHAT)
    # then nobody was let in, and the reservation of one chat waits for its deadline: the safe side
    assert len(store.items["p#project1"]["inf"]) == 1
