"""Story: the turn of an epoch goes step by step to its end, whatever is interrupted, refused or planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatapi.clock import FixedClock
from chatapi.vault import Vault
from chatapi.vault.epochs import Overtaken
from chatapi.vault.memory import MemoryKeys, MemoryWraps
from chatapi.vault.ports import State, WrapPage
from chatapi.vault.rotation import Stuck, Target
from chatapi.vault.turn import AGAIN, CLEAN, MORE, PASSES, STUCK, Step, Turn, Work, check, move, own_key, targets
from tests.support.campaign import examples

PLACE = ("records", "pk", "sk", "body", 1)
NEW, TENANT = "arn:aws:kms:eu-central-1:000000000000:key/new", "arn:aws:kms:eu-central-1:111111111111:key/theirs"


class World:
    """Subjects under the old epoch, and a turn to the new one."""

    def __init__(self, subjects: int = 9, segments: int = 3) -> None:
        self.wraps, self.keys, self.clock = MemoryWraps(), MemoryKeys(), FixedClock()
        self.current, self.told = NEW, list[Stuck]()
        self.targets: dict[str, Target] = {}
        self.sealed = {
            f"sub_{n}": self.vault().writer("prj", f"sub_{n}").seal(*PLACE, b"text") for n in range(subjects)
        }
        self.work = Work(
            self.wraps,
            self.keys,
            lambda: self.current,
            lambda project: self.targets.get(project, Target(NEW)),
            self.clock,
            self.clock.advance,
            segments,
            100,
            tell=self.told.append,
        )

    def vault(self) -> Vault:
        return Vault(self.wraps, self.keys, self.clock)

    def goes(self, turn: Turn | None = None, step: Callable[[Work, Turn], Step] = move, most: int = 500) -> list[Step]:
        """Steps as the machine takes them, until one does not go on."""
        taken, turn = list[Step](), turn or Turn(NEW)
        while len(taken) < most:
            taken.append(step(self.work, turn))
            turn = taken[-1].turn
            if taken[-1].state not in (MORE, AGAIN):
                return taken
        raise AssertionError("it does not come to its end")

    def reads(self) -> bool:
        return all(
            self.vault().reader("prj", s, 1).open(*PLACE, m) == b"text"
            for s, m in self.sealed.items()
            if self.wraps.items["prj", s].state is not State.ERASED
        )

    def arns(self) -> set[str]:
        return {item.key_arn for item in self.wraps.items.values() if item.state is not State.ERASED}

    def more(self, times: int) -> Callable[[], bool]:
        """A step that may begin so many further pages."""
        left = iter([True] * times)
        return lambda: next(left, False)


def test_two_whole_passes_and_nothing_is_left() -> None:
    world = World()
    steps = world.goes()
    assert [step.state for step in steps] == [MORE, MORE, AGAIN, MORE, MORE, CLEAN]
    assert sum(step.moved for step in steps) == 9
    assert world.arns() == {NEW}
    world.keys.destroy()  # the old epoch
    assert world.reads()
    assert [s.state for s in world.goes(step=check)] == [MORE, MORE, CLEAN]


def test_an_empty_vault_waits_for_late_writers_as_well() -> None:
    world = World(0)
    assert [step.state for step in world.goes()][2] == AGAIN
    # a function that had its wrap before the alias moved puts it now
    world.vault().writer("prj", "sub_late")
    assert world.goes(Turn(NEW, 2))[-1].state == CLEAN
    assert world.arns() == {NEW}


@settings(deadline=None, max_examples=examples(50))
@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 5), st.integers(0, 20), st.sets(st.integers(0, 19)))
def test_steps_that_run_out_of_time_or_are_repeated_lose_nothing(
    pages: list[int], segments: int, subjects: int, erased: set[int]
) -> None:
    world, turn, state = World(subjects, segments), Turn(NEW), MORE
    for number in erased & set(range(subjects)):
        world.wraps.freeze("prj", f"sub_{number}", 1, "dsr_1")
        world.wraps.destroy("prj", f"sub_{number}", 1, 1.0, "dsr_1")
    whole = world.work
    for times in pages:
        world.work = replace(whole, more_time=world.more(times))
        state, after, _ = move(world.work, turn)
        turn = after if times != 2 and state in (MORE, AGAIN) else turn  # else: the answer was lost, it is asked again
    world.work = whole
    assert world.goes(turn)[-1].state == CLEAN
    assert world.arns() <= {NEW}
    assert world.reads()


def test_a_segment_that_no_step_can_read_is_told_and_not_tried_for_ever() -> None:
    world = World(9, 1)
    world.goes()
    world.work = replace(world.work, more_time=lambda: False)
    assert move(world.work, Turn(NEW, 2)).state == STUCK
    assert check(world.work, Turn(NEW)).state == STUCK


@pytest.mark.parametrize("why", ["damaged", "unanswered"])
def test_a_key_that_does_not_move_is_named_and_stops_the_retirement(why: str) -> None:
    world = World(5)
    items = world.wraps.items
    if why == "damaged":  # a wrap that was put into another subject's item
        items["prj", "sub_1"] = replace(items["prj", "sub_1"], wraps=items["prj", "sub_2"].wraps)
    else:
        items["prj", "sub_1"] = replace(items["prj", "sub_1"], key_arn="arn:aws:kms:x:1:key/other")
        world.keys.disable("arn:aws:kms:x:1:key/other")
    last = world.goes()[-1]
    assert (last.state, last.turn.left) == (STUCK, 1)
    assert {stuck[:4] for stuck in world.told} == {("prj", "sub_1", 1, why)}
    assert world.goes(step=check)[-1][:2] == (STUCK, replace(Turn(NEW), segment=3, left=1))
    assert {s for (_, s), item in items.items() if item.key_arn == NEW} == {"sub_0", "sub_2", "sub_3", "sub_4"}


def test_an_item_that_nobody_can_read_stops_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(2, 1)
    page = world.wraps.page

    def planted(after: str | None = None, segment: tuple[int, int] = (0, 1)) -> WrapPage:
        found = page(after, segment)
        return found._replace(unreadable=[("prj", "sub_x")])

    monkeypatch.setattr(world.wraps, "page", planted)
    assert world.goes()[-1].state == STUCK
    assert check(world.work, Turn(NEW))[0] == STUCK


def test_a_tenants_key_that_refuses_is_told_and_holds_no_epoch_up() -> None:
    # given a project that has taken its own key away, and another that keeps one
    world = World(3)
    for project in ("left", "kept"):
        world.vault().writer(project, "sub_t", key=TENANT)
    world.targets["kept"] = Target(TENANT, tenant_key=True)
    world.keys.disable(TENANT)
    assert world.goes()[-1].state == CLEAN
    assert {stuck[:4] for stuck in world.told} == {("left", "sub_t", 1, "unanswered")}
    assert world.goes(step=check)[-1].state == CLEAN
    # given back, it moves; the other one stays where its project wants it
    world.keys.enable(TENANT)
    assert world.goes()[-1].state == CLEAN
    assert {p: item.key_arn for (p, s), item in world.wraps.items.items() if s == "sub_t"} == {
        "left": NEW,
        "kept": TENANT,
    }


def test_wraps_that_somebody_keeps_bringing_back_end_it() -> None:
    world, old = World(1, 1), dict[tuple[str, str], object]()
    turn = Turn(NEW)
    before = world.wraps.items["prj", "sub_0"]
    for _ in range(PASSES):
        old.update(world.wraps.items)
        state, turn, moved = move(world.work, turn)
        assert moved == 1
        world.wraps.items["prj", "sub_0"] = before
    assert state == STUCK


def test_a_turn_that_another_epoch_has_overtaken_touches_nothing() -> None:
    world = World()
    world.current = "arn:aws:kms:eu-central-1:000000000000:key/newer"
    for step in (move, check):
        with pytest.raises(Overtaken):
            step(world.work, Turn(NEW))
    world.current = NEW
    for segment in (-1, 3):
        with pytest.raises(ValueError, match="segment"):
            move(world.work, Turn(NEW, 1, segment))
    assert world.arns() == {world.keys.key_arn}


def test_of_a_project_only_its_key_is_read_and_once() -> None:
    asked = []

    class Projects:
        def call(self, operation: str, payload: dict[str, object]) -> dict[str, object]:
            asked.append((operation, payload["Key"], payload["ProjectionExpression"]))
            brought = payload["Key"] == {"pk": {"S": "p#theirs"}}
            return {"Item": {"kms": {"S": TENANT}}} if brought else {}

    target = targets(own_key(Projects(), "projects"), NEW)
    assert [target("theirs"), target("ours"), target("theirs")] == [
        Target(TENANT, True),
        Target(NEW),
        Target(TENANT, True),
    ]
    assert asked == [("GetItem", {"pk": {"S": f"p#{p}"}}, "pk, kms") for p in ("theirs", "ours")]
