"""The table of states: what may follow on what, whoever asks and in whatever order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapi.catalogue import NotInCatalogue
from chatapi.errors import NotFound
from chatapi.ids import request_id
from chatapi.store.case_states import CANCEL, COMMIT, COMPLETE, DENY, FAIL, HOLD, PAUSE, RELEASE, RESUME, START, Act
from chatapi.store.cases import Case, NotAllowed
from tests.unit.privacy.world import ALICE, PROJECT, World

ACTS = {
    "start": START,
    "commit": COMMIT,
    "complete": COMPLETE,
    "fail": FAIL,
    "cancel": CANCEL,
    "pause": PAUSE,
    "resume": RESUME,
    "deny": DENY,
    "hold": HOLD,
    "release": RELEASE,
}


def state(case: Case) -> tuple[str, str]:
    return case.status, case.stage


@given(st.lists(st.sampled_from(sorted(ACTS)), max_size=12))
def test_no_order_of_acts_leaves_the_table(names: list[str]) -> None:
    world = World()
    case = world.case()
    committed = False
    for name in names:
        before = world.again(case)
        act: Act = ACTS[name]
        allowed = before.status in act.source and before.stage in act.stages
        try:
            after = world.cases.act(case, act)
        except NotAllowed as refused:
            assert not allowed
            after = refused.case
            assert after.facts == before.facts
        else:
            assert allowed
        # what has ended stays as it is, what was committed is never cancelled
        if before.status in ("completed", "cancelled") or before.stage == "closed":
            assert state(after) == state(before)
        committed = committed or (name == "commit" and allowed)
        assert (after.stage == "irreversible") == committed
        assert not (committed and after.status == "cancelled")
        assert after.status != "completed" or committed


def test_the_table() -> None:
    table = {name: (set(act.source), act.target, set(act.stages)) for name, act in ACTS.items()}
    anywhere = {"reversible", "irreversible"}
    assert table == {
        "start": ({"received", "in_progress", "failed"}, "in_progress", anywhere),
        "commit": ({"in_progress"}, "in_progress", anywhere),
        "complete": ({"in_progress"}, "completed", {"irreversible"}),
        "fail": ({"received", "in_progress", "failed"}, "failed", anywhere),
        "cancel": ({"received", "in_progress", "on_hold"}, "cancelled", {"reversible"}),
        "pause": ({"received", "in_progress", "failed"}, "on_hold", {"reversible"}),
        "resume": ({"on_hold"}, "received", {"reversible"}),
        "deny": ({"received", "in_progress", "on_hold", "failed"}, "failed", {"reversible"}),
        "hold": ({"in_progress"}, "on_hold", {"irreversible"}),
        "release": ({"on_hold"}, "completed", {"irreversible"}),
    }


def test_creating_twice_gives_the_first() -> None:
    world = World()
    first = world.case()
    world.clock.advance(100)
    assert world.case().created == first.created


def test_facts_of_the_reversible_half_stand_after_the_commit() -> None:
    world = World()
    case = world.cases.act(world.case(), START)
    assert world.cases.gather(case, holds=[1]).get("holds") == [1]
    assert world.cases.gather(case, holds=[2]).get("holds") == [2]
    world.cases.act(case, COMMIT)
    assert world.cases.gather(case, holds=[3]).get("holds") == [2]


def test_what_is_kept_is_kept_and_what_is_exchanged_was_seen() -> None:
    world = World()
    case = world.case()
    assert world.cases.keep(case, payload=b"1").get("payload") == b"1"
    assert world.cases.keep(case, payload=b"2").get("payload") == b"1"
    assert world.cases.exchange(case, "intent", None, 5).get("intent") == 5
    assert world.cases.exchange(case, "intent", None, 6).get("intent") == 5
    assert world.cases.exchange(case, "intent", 5, 7).get("intent") == 7


def test_a_fact_that_the_catalogue_does_not_name_is_refused() -> None:
    world = World()
    case = world.case()
    with pytest.raises(NotInCatalogue):
        world.cases.note(case, email="x")


def test_cases_of_other_projects_do_not_exist() -> None:
    world = World()
    case = world.case()
    with pytest.raises(NotFound):
        world.cases.get("projectB", case.id)
    assert world.cases.list("projectB") == ([], False)
    assert [found.id for found in world.cases.list(PROJECT)[0]] == [case.id]


def test_a_case_never_shows_the_subject_in_its_text() -> None:
    assert ALICE not in repr(World().case())


def test_a_person_sees_the_last_hundred_of_their_requests_newest_first() -> None:
    """Given ids that are random, so that their order says nothing."""
    world, names = World(), []
    for number in range(130):
        case = world.cases.create(PROJECT, request_id(), "access", ALICE, world.clock.now(), target=str(number))
        names.append(case.id)
        world.clock.advance(60)
    assert [case.id for case in world.cases.of_subject(PROJECT, ALICE)] == names[:-101:-1]
