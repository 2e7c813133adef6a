"""Story: the schedule's functions on the real template, with moto's KMS: the epoch turns, what breaks off goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chatapi.aws.client import AwsClient
from chatapi.aws.errors import AwsError
from chatapi.clock import SystemClock
from chatapi.vault import Vault
from chatapi.vault.dynamo import DynamoWraps
from chatapi.vault.epochs import DISABLED_AT, NEXT, OF, Epochs
from chatapi.vault.kms import KmsKeys
from epochs import begin, move, retire, running
from epochs.running import TaskFailed
from tests.support.deployed import Deployed

PLACE = ("records", "pk", "sk", "body", 1)


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 900_000


class Turning:
    """The functions, each with its own environment, and what an operator would see."""

    def __init__(self, stack: Deployed, patch: pytest.MonkeyPatch) -> None:
        self.stack, self.patch = stack, patch
        self.kms, self.alias = stack.client("kms"), stack.outputs["EpochAlias"]
        self.wraps = DynamoWraps(stack.client("dynamodb"), stack.outputs["VaultTable"])
        self.epochs = Epochs(self.kms, self.alias, SystemClock().now)

    def vault(self) -> Vault:
        return Vault(self.wraps, KmsKeys(self.kms, self.alias), SystemClock())

    def call(self, function: str, event: dict[str, Any], **changes: str) -> dict[str, Any]:
        module = {"begin": begin, "move": move, "retire": retire}[function]
        for name, value in {**self.stack.functions[f"epoch-{function}"], "QUIET_SECONDS": "0", **changes}.items():
            self.patch.setenv(name, str(value))
        module._composed.made = None  # type: ignore[attr-defined]
        return module.handler(event, Context())  # type: ignore[no-any-return, arg-type]

    def begins(self, **changes: str) -> dict[str, Any]:
        """Both tasks; the turn."""
        assert self.call("begin", {"task": "make"}, **changes).keys() == {"pause"}
        turn = self.call("begin", {"task": "point"}, **changes)
        del turn["pause"]
        return turn

    def tags(self, arn: str) -> dict[str, str]:
        tags = self.kms.call("ListResourceTags", {"KeyId": arn.rpartition("/")[2]})["Tags"]
        return {tag["TagKey"]: tag["TagValue"] for tag in tags}

    def moves(self, turn: dict[str, Any], task: str = "move") -> tuple[str, dict[str, Any]]:
        """As the machine goes round, without its pauses."""
        for _ in range(200):
            answer = self.call("move", {"task": task, "turn": turn})
            state, pause = answer.pop("state"), answer.pop("pause")
            assert pause == 905 + 300
            turn = answer
            if state not in ("more", "again"):
                return state, turn
        raise AssertionError("it does not come to its end")


@pytest.fixture
def turning(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Turning]:
    made = Turning(deployed, monkeypatch)
    policy = {"Version": "2012-10-17", "Statement": []}  # moto keeps a template's as an object, and stumbles over it
    key_id = deployed.outputs["EpochKey"].rpartition("/")[2]
    made.kms.call("PutKeyPolicy", {"KeyId": key_id, "PolicyName": "default", "Policy": json.dumps(policy)})
    yield made
    for module in (begin, move, retire):
        module._composed.made = None  # type: ignore[attr-defined]


def test_the_functions_turn_the_epoch(turning: Turning, capsys: pytest.CaptureFixture[str]) -> None:
    # given subjects under the template's own key
    old = turning.epochs.current()
    sealed = {s: turning.vault().writer("prj", s).seal(*PLACE, s.encode()) for s in ("sub_a", "sub_b", "sub_c")}
    # when the three have done their tasks
    turn = turning.begins()
    assert turn["epoch"] == turning.epochs.current() != old
    assert turning.tags(turn["epoch"]) == {OF: "chatapi"}
    state, turn = turning.moves(turn)
    assert (state, turn["left"]) == ("clean", 0)
    assert turning.call("retire", {"task": "disable", "epoch": turn["epoch"]}) == {"count": 1, "quiet": 1}
    assert turning.epochs.all()[old] == "Disabled"
    assert int(turning.tags(old)[DISABLED_AT]) > 0
    assert turning.moves({**turn, "number": 1, "segment": 0}, "check")[0] == "clean"
    with pytest.raises(TaskFailed):  # it is not through its quiet days
        turning.call("retire", {"task": "end", "epoch": turn["epoch"]}, QUIET_SECONDS="600")
    assert turning.call("retire", {"task": "end", "epoch": turn["epoch"]})["count"] == 1
    # then the old one is on its way out, and everything opens
    assert turning.epochs.all()[old] == "PendingDeletion"
    assert all(turning.vault().reader("prj", s, 1).open(*PLACE, m) == s.encode() for s, m in sealed.items())
    # and what was logged names nobody
    out = capsys.readouterr().out
    lines = [json.loads(line) for line in out.splitlines() if line.startswith('{"event"')]
    assert sum(line["count"] for line in lines if line["event"] == "wraps_moved") == 3
    assert not any(word in out for word in ("sub_", "prj"))
    # another run that finds all of it done does nothing
    assert turning.call("retire", {"task": "end", "epoch": turn["epoch"]})["count"] == 0


def test_a_turn_that_starts_again_goes_on_with_the_epoch_that_it_began(turning: Turning) -> None:
    first = turning.begins()["epoch"]
    assert turning.begins(QUIET_SECONDS="600")["epoch"] == first
    assert turning.begins()["epoch"] != first


def test_a_key_whose_making_broke_off_is_taken_and_not_made_again(
    turning: Turning, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, calls, call, old = set[str](), list[str](), AwsClient.call, turning.epochs.current()
    broken = [""]

    def breaking(self: AwsClient, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        calls.append(operation)
        if operation in broken:
            raise AwsError("AccessDeniedException", 400)
        answer = call(self, operation, payload)
        if operation == "CreateKey":
            keys.add(answer["KeyMetadata"]["Arn"])
        return answer

    monkeypatch.setattr(AwsClient, "call", breaking)
    for operation in ("EnableKeyRotation", "CreateAlias", "UpdateAlias"):  # IAM may take minutes to see a tag
        broken[:] = [operation]
        with pytest.raises(TaskFailed):
            turning.begins()
    broken.clear()
    assert {turning.begins()["epoch"]} == keys
    assert calls.count("CreateKey") == 1
    assert turning.tags(old)[NEXT] == turning.epochs.current().rpartition("/")[2]


def test_what_another_turn_has_overtaken_is_left_alone(turning: Turning) -> None:
    turn = turning.begins()
    newer = turning.begins()
    with pytest.raises(TaskFailed):
        turning.call("move", {"task": "move", "turn": turn})
    for task in ("disable", "end"):
        with pytest.raises(TaskFailed):
            turning.call("retire", {"task": task, "epoch": turn["epoch"]})
    assert turning.epochs.all()[turn["epoch"]] == "Enabled"
    assert turning.epochs.current() == newer["epoch"]


def test_an_epoch_that_somebody_else_disabled_is_not_ended(turning: Turning) -> None:
    old = turning.epochs.current()
    turn = turning.begins()
    turning.kms.call("DisableKey", {"KeyId": old.rpartition("/")[2]})
    turning.call("retire", {"task": "disable", "epoch": turn["epoch"]})
    turning.call("retire", {"task": "end", "epoch": turn["epoch"]})
    assert turning.epochs.all()[old] == "Disabled"


def test_what_does_not_move_is_named_by_its_pseudonym_and_nothing_else(
    turning: Turning, capsys: pytest.CaptureFixture[str]
) -> None:
    table = turning.stack.outputs["VaultTable"]
    planted = {"pk": {"S": "v#prj#sub_planted"}, "canary": {"S": "CANARY"}}
    turning.stack.client("dynamodb").call("PutItem", {"TableName": table, "Item": planted})
    state, turn = turning.moves(turning.begins())
    turning.stack.client("dynamodb").call("DeleteItem", {"TableName": table, "Key": {"pk": planted["pk"]}})
    assert (state, turn["left"]) == ("stuck", 1)
    out = capsys.readouterr().out
    lines = [json.loads(line) for line in out.splitlines() if line.startswith('{"event"')]
    stuck = [line for line in lines if line["event"] == "wrap_stuck"]
    assert {(line["project"], line["subject"], line["outcome"], line["level"]) for line in stuck} == {
        ("prj", "sub_planted", "unreadable", "error")
    }
    assert [line["count"] for line in lines if line["event"] == "epoch_stuck"] == [1]
    assert "CANARY" not in out


def test_a_failure_quotes_nothing(turning: Turning, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TaskFailed) as failed:
        turning.call("move", {"task": "CANARY", "turn": {"epoch": "x"}})
    assert failed.value.__cause__ is None
    assert "CANARY" not in capsys.readouterr().out


def test_only_a_local_stack_shortens_the_quiet_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUIET_SECONDS", "5")
    for stage, seconds in (("local", 5), ("dev", 7 * 86400), ("prod", 7 * 86400)):
        monkeypatch.setenv("STAGE", stage)
        assert running.quiet_seconds() == seconds
