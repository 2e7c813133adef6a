"""Story: an operator looks at the Vault, rotates, moves it to the next epoch, retires the old one, on moto's wire."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

import chatapi_cli.vault
from chatapi.aws.client import AwsClient
from chatapi.clock import SystemClock
from chatapi.store.dynamo import DynamoTable
from chatapi.vault import Vault
from chatapi.vault.dynamo import DynamoWraps
from chatapi.vault.epochs import EpochError, Epochs
from chatapi.vault.kms import KmsKeys
from tests.support.transformed import REGION

PLACE = ("records", "pk", "sk", "body", 1)
_names = itertools.count()


class Stack:
    """What the command finds: a Vault, an epoch with its alias, a project."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint, self.region, self.name = endpoint, REGION, f"op{next(_names)}"
        self.kms, self.dynamo = self.client("kms"), self.client("dynamodb")
        for table in ("VaultTable", "ProjectsTable"):
            self.dynamo.call(
                "CreateTable",
                {
                    "TableName": self.output(table),
                    "BillingMode": "PAY_PER_REQUEST",
                    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                },
            )
        self.old = self.new_key()
        self.kms.call(
            "CreateAlias", {"AliasName": self.output("EpochAlias"), "TargetKeyId": self.old.rpartition("/")[2]}
        )
        DynamoTable(self.dynamo, self.output("ProjectsTable"), sort=None).put({"pk": "p#prj", "kind": "project"})
        self.wraps = DynamoWraps(self.dynamo, self.output("VaultTable"))
        self.sealed = {s: self.vault().writer("prj", s).seal(*PLACE, s.encode()) for s in ("sub_a", "sub_b")}

    def vault(self) -> Vault:
        return Vault(self.wraps, KmsKeys(self.kms, self.output("EpochAlias")), SystemClock())

    def client(self, service: str) -> AwsClient:
        return AwsClient(service, region=REGION, endpoint=self.endpoint, timeout=10)

    def output(self, name: str) -> str:
        return {"EpochAlias": f"alias/{self.name}-epoch", "Stage": "local"}.get(name, f"{self.name}-{name}")

    def new_key(self) -> str:
        return str(self.kms.call("CreateKey", {})["KeyMetadata"]["Arn"])

    def opens(self) -> bool:
        return all(self.vault().reader("prj", s, 1).open(*PLACE, m) == s.encode() for s, m in self.sealed.items())


@pytest.fixture
def stack(aws_environment: str, monkeypatch: pytest.MonkeyPatch) -> Stack:
    made = Stack(aws_environment)
    monkeypatch.setattr(chatapi_cli.vault, "find", lambda name: made)
    return made


def run(*words: str, code: int = 0) -> Any:
    done = CliRunner().invoke(chatapi_cli.vault.app, words)
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if "--json" in words else done.output


def test_the_whole_turn_of_an_epoch(stack: Stack) -> None:
    assert run("new-epoch", "--dry-run", "--json")["old"] == stack.old
    new = run("new-epoch", "--json")["new"]
    state = run("status", "--json")
    assert (state["current_epoch"], set(state["epochs"])) == (new, {stack.old, new})
    assert [(i["whose"], i["items"]) for i in state["items"]] == [("old epoch", 2)]
    assert "old epoch" in run("status")
    assert "subject keys are wrapped under it" in run("retire-epoch", stack.old, code=1)
    assert run("rewrap", "--dry-run", "--json")["moved"] == 2
    assert run("rewrap", "--json")["moved"] == 2
    assert run("rewrap", "--json")["current"] == 2
    assert stack.opens()
    assert "current epoch" in run("retire-epoch", new, code=1)
    assert "no old epoch" in run("retire-epoch", stack.new_key(), code=1)
    assert "disabled" in run("retire-epoch", stack.old)
    assert "seven days" in run("retire-epoch", stack.old, code=1)
    later = Epochs(stack.kms, stack.output("EpochAlias"), lambda: SystemClock().now() + 8 * 86400)
    assert "30 days" in later.retire(stack.old, 0)
    assert "nothing to do" in later.retire(stack.old, 0)
    assert stack.opens()


def test_on_aws_the_alias_moves_when_iam_has_seen_the_new_keys_name(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept, output = list[tuple[float, str]](), stack.output
    monkeypatch.setattr(stack, "output", lambda name: "prod" if name == "Stage" else output(name))
    epochs = Epochs(stack.kms, output("EpochAlias"), SystemClock().now)
    monkeypatch.setattr(chatapi_cli.vault.time, "sleep", lambda seconds: slept.append((seconds, epochs.current())))
    new = json.loads(CliRunner().invoke(chatapi_cli.vault.app, ["new-epoch", "--json"]).stdout)["new"]
    # it has its name for five minutes before anything is wrapped under it
    assert slept == [(300, stack.old)]
    assert epochs.current() == new


def test_an_epoch_that_somebody_else_disabled_is_not_deleted(stack: Stack) -> None:
    run("new-epoch")
    run("rewrap")
    stack.kms.call("DisableKey", {"KeyId": stack.old.rpartition("/")[2]})
    with pytest.raises(EpochError, match="somebody else"):
        Epochs(stack.kms, stack.output("EpochAlias"), lambda: 9e9).retire(stack.old, 0)


def test_a_subject_is_rotated_once_and_a_dry_run_changes_nothing(stack: Stack) -> None:
    assert run("rotate", "prj", "sub_a", "--dry-run", "--json")["keyver"] == 2
    assert run("rotate", "prj", "sub_a", "--json")["keyver"] == 2
    item = stack.wraps.get("prj", "sub_a")
    assert item is not None
    assert set(item.wraps) == {1, 2}
    assert stack.opens()
    for who in (("prj", "sub_none"), ("a#b", "sub_a")):
        assert "no open generation" in run("rotate", *who, code=1)


def test_what_cannot_be_moved_is_named_and_its_epoch_stays(stack: Stack) -> None:
    # given a wrap in a foreign item, and an item that is none
    item = stack.wraps.get("prj", "sub_b")
    foreign = stack.wraps.get("prj", "sub_a")
    assert item is not None
    assert foreign is not None
    stack.wraps.rekey(item, replace(item, wraps=foreign.wraps, revision=item.revision + 1))
    stack.dynamo.call("PutItem", {"TableName": stack.output("VaultTable"), "Item": {"pk": {"S": "v#prj#sub_c"}}})
    run("new-epoch")
    # then both are named, by opaque ids, and the other one has moved
    said = run("rewrap", "--json", code=1)
    assert (said["seen"], said["moved"], said["damaged"], said["unreadable"]) == (3, 1, 1, 1)
    named = {(one["project"], one["subject"], one["generation"], one["why"]) for one in said["stuck"]}
    assert named == {("prj", "sub_b", 1, "damaged"), ("prj", "sub_c", 0, "unreadable")}
    shown = run("rewrap", code=1)
    assert "damaged     prj  sub_b  generation 1" in shown
    assert "unreadable  prj  sub_c  generation ?" in shown
    assert "docs/vault.md" in shown
    # and the old key is not ended over them
    assert {(i["state"], i["whose"]) for i in run("status", "--json")["items"]} == {
        ("active", "current"),
        ("active", "old epoch"),
        ("unreadable", "unknown"),
    }
    assert "2 subject keys" in run("retire-epoch", stack.old, code=1)


def test_a_project_brings_a_key_and_takes_it_away(stack: Stack) -> None:
    theirs = stack.new_key()
    assert "tenant" in run("tenant-key", "prj", theirs)
    assert run("rewrap", "--json")["moved"] == 2
    assert [i["whose"] for i in run("status", "--json")["items"]] == ["tenant"]
    assert stack.opens()
    assert "deployment" in run("tenant-key", "prj", "--remove")
    assert run("rewrap", "--json")["moved"] == 2
    assert stack.opens()
    for words in (("prj",), ("prj", "key"), ("prj", theirs.replace(REGION, "us-east-1")), ("prj", theirs + "0")):
        assert run("tenant-key", *words, code=1)
    assert "no such project" in run("tenant-key", "prj2", theirs, code=1)
