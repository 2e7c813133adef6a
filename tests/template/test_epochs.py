"""The turn of the epoch: each power has a role of its own, and no role has what would make two of them one."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.support.transformed import ROOT
from tests.template.resources import RESOURCES, TEMPLATE, of_type, statements

POLICIES = ("EpochBeginPolicy", "EpochMovePolicy", "EpochRetirePolicy")
OURS = {"aws:ResourceTag/chatapi-epoch-of": {"Ref": "AWS::StackName"}}
OTHERS = [{"Fn::GetAtt": [key, "Arn"]} for key in ("StoreKey", "SigningKey", "DialectKey")]
CURRENT = {"kms:ResourceAliases": {"Ref": "EpochKeyAlias"}}


def of(policy: str, effect: str = "Allow") -> list[dict[str, Any]]:
    return [s for name, s in statements() if name == policy and s["Effect"] == effect]


def actions(statement: dict[str, Any]) -> list[str]:
    return [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


def granted(policy: str, service: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for statement in of(policy):
        for action in actions(statement):
            if action.startswith(service + ":"):
                found.setdefault(action.removeprefix(service + ":"), []).append(statement)
    return found


def test_each_of_the_three_has_one_power_and_none_opens_a_wrap() -> None:
    assert {policy: set(granted(policy, "kms")) for policy in POLICIES} == {
        "EpochBeginPolicy": {
            "CreateKey", "TagResource", "DescribeKey", "GetKeyPolicy", "ListResourceTags", "EnableKeyRotation",
            "CreateAlias", "UpdateAlias",
        },
        "EpochMovePolicy": {"ReEncryptFrom", "ReEncryptTo", "DescribeKey"},
        "EpochRetirePolicy": {
            "ListAliases", "DescribeKey", "ListResourceTags", "TagResource", "DisableKey", "ScheduleKeyDeletion",
        },
    }  # fmt: skip
    assert not granted("EpochBeginPolicy", "dynamodb")
    assert not granted("EpochRetirePolicy", "dynamodb")
    # what the tenants' keys are open to is the move alone
    (theirs,) = of("TenantKeysMovePolicy")
    assert RESOURCES["TenantKeysMovePolicy"]["Properties"]["Roles"] == [{"Ref": "EpochMoveRole"}]
    assert (actions(theirs), theirs["Resource"]) == (["kms:ReEncryptFrom", "kms:ReEncryptTo"], {"Ref": "TenantKeyArns"})
    # and nobody else in the stack has any of these
    rare = {"kms:CreateKey", "kms:UpdateAlias", "kms:DisableKey", "kms:ScheduleKeyDeletion", "kms:TagResource"}
    rare |= {"kms:ReEncryptFrom", "kms:ReEncryptTo"}
    holders = {name for name, s in statements() if s["Effect"] == "Allow" and rare & set(actions(s))}
    assert holders == {*POLICIES, "TenantKeysMovePolicy"}


def test_a_key_is_made_with_the_stacks_tag_and_of_one_kind() -> None:
    (make,) = granted("EpochBeginPolicy", "kms")["CreateKey"]
    assert make["Condition"] == {
        "StringEquals": {
            "kms:KeySpec": "SYMMETRIC_DEFAULT",
            "kms:KeyUsage": "ENCRYPT_DECRYPT",
            "kms:KeyOrigin": "AWS_KMS",
            "aws:RequestTag/chatapi-epoch-of": {"Ref": "AWS::StackName"},
        },
        "Bool": {"kms:MultiRegion": "false", "kms:BypassPolicyLockoutSafetyCheck": "false"},
    }
    assert {"Key": "chatapi-epoch-of", "Value": {"Ref": "AWS::StackName"}} in of_type("AWS::KMS::Key")["EpochKey"][
        "Tags"
    ]
    assert [key for key, p in of_type("AWS::KMS::Key").items() if "chatapi-epoch" in json.dumps(p.get("Tags"))] == [
        "EpochKey"
    ]


@pytest.mark.parametrize("action", ["DisableKey", "ScheduleKeyDeletion"])
def test_what_is_ended_is_an_epoch_of_this_stack_and_never_the_current_one(action: str) -> None:
    (ends,) = granted("EpochRetirePolicy", "kms")[action]
    assert ends["Condition"]["StringEquals"] == OURS
    assert ends["Condition"]["ForAllValues:StringNotEquals"] == CURRENT
    assert ends["Resource"]["Fn::Sub"].endswith(":${AWS::AccountId}:key/*")  # a tenant's key is in another account
    if action == "ScheduleKeyDeletion":
        assert ends["Condition"]["NumericEquals"] == {"kms:ScheduleKeyDeletionPendingWindowInDays": "30"}


@pytest.mark.parametrize("policy", ["EpochBeginPolicy", "EpochRetirePolicy"])
def test_no_tag_or_alias_makes_an_epoch_of_the_stacks_other_keys(policy: str) -> None:
    (never,) = of(policy, "Deny")
    assert never["Resource"] == OTHERS
    assert "Condition" not in never
    assert {key for key in of_type("AWS::KMS::Key") if key != "EpochKey"} == {r["Fn::GetAtt"][0] for r in OTHERS}
    changes = {"kms:TagResource", "kms:CreateAlias", "kms:UpdateAlias", "kms:DisableKey", "kms:ScheduleKeyDeletion"}
    held = {f"kms:{action}" for action in granted(policy, "kms")}
    assert set(actions(never)) == changes & held


def test_a_tag_is_put_on_what_is_made_or_on_an_epoch_and_says_one_thing() -> None:
    tags = [s["Condition"] for policy in POLICIES for s in granted(policy, "kms").get("TagResource", [])]
    assert sorted(c["ForAllValues:StringEquals"]["aws:TagKeys"][0] for c in tags) == [
        "chatapi-disabled-at",
        "chatapi-epoch-next",
        "chatapi-epoch-of",
    ]
    for condition in tags:
        made = condition["ForAllValues:StringEquals"]["aws:TagKeys"] == ["chatapi-epoch-of"]
        wanted = {"aws:RequestTag/chatapi-epoch-of": {"Ref": "AWS::StackName"}} if made else OURS
        assert condition["StringEquals"] == wanted


def test_wraps_go_to_the_current_epoch_alone_and_of_a_project_only_its_key_is_read() -> None:
    for action, operator in (("ReEncryptFrom", "ForAnyValue:StringLike"), ("ReEncryptTo", "ForAnyValue:StringEquals")):
        (moves,) = granted("EpochMovePolicy", "kms")[action]
        assert moves["Condition"]["StringEquals"] == {"kms:EncryptionContext:purpose": "subject-key"}
        alias = moves["Condition"][operator]["kms:ResourceAliases"]
        assert alias == (
            {"Ref": "EpochKeyAlias"} if action == "ReEncryptTo" else {"Fn::Sub": "alias/${AWS::StackName}-epoch*"}
        )
    (project,) = [s for s in granted("EpochMovePolicy", "dynamodb")["GetItem"] if "ProjectsTable" in str(s["Resource"])]
    assert project["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "kms"]},
        "StringEquals": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
    }


def test_only_the_machine_calls_them_and_only_the_schedule_starts_the_machine() -> None:
    names = {f"Epoch{name}Function" for name in ("Begin", "Move", "Retire")}
    invokers = {
        name
        for name, s in statements()
        if "lambda:InvokeFunction" in actions(s) and any(function in json.dumps(s["Resource"]) for function in names)
    }
    assert invokers == {"EpochMachinePolicy"}
    assert not [p for p in of_type("AWS::Lambda::Permission").values() if any(f in json.dumps(p) for f in names)]
    assert "Epoch" not in json.dumps(of_type("AWS::ApiGateway::RestApi"))
    starters = {n for n, s in statements() if "EpochMachine" in json.dumps(s["Resource"])}
    assert starters == {"EpochRulePolicy"}
    for name in names:
        layers = RESOURCES[name]["Properties"]["Layers"]
        assert not any("DepsLayer" in json.dumps(layer) for layer in layers)  # nothing in them can decrypt


def test_the_schedule_is_monthly_unless_it_is_turned_off() -> None:
    (rule,) = [r for r in RESOURCES.values() if r["Type"] == "AWS::Events::Rule" and "EpochMachine" in json.dumps(r)]
    assert rule["Condition"] == "HasEpochSchedule"
    assert rule["Properties"]["ScheduleExpression"] == {"Ref": "EpochSchedule"}
    assert rule["Properties"]["Targets"][0]["Input"] == "{}"
    assert TEMPLATE["Conditions"]["HasEpochSchedule"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "EpochSchedule"}, ""]}]}
    parameters = TEMPLATE["Parameters"]
    assert fnmatchcase(parameters["EpochSchedule"]["Default"], "cron(* * 1 [*] [?] [*])")
    assert parameters["EpochQuietSeconds"]["Default"] == 7 * 86400


def test_the_history_holds_counts_and_the_epochs_arn_alone() -> None:
    machine = json.loads((ROOT / "statemachines" / "epoch.asl.json").read_text())
    kept = set()

    def walk(value: Any) -> None:
        for name, inner in value.items() if isinstance(value, dict) else ():
            if name in ("ResultSelector", "Parameters", "Payload", "turn"):
                kept.update(field.removesuffix(".$") for field in inner if isinstance(inner, dict))
            walk(inner)

    for state in machine["States"].values():
        walk(state)
        # each task's answer is chosen from, never kept whole
        assert state["Type"] != "Task" or "ResultSelector" in state
    assert kept == {
        "FunctionName", "Payload", "task", "turn", "epoch", "number", "segment", "moved", "left", "state", "pause",
        "count", "quiet", "disabled", "ended",
    }  # fmt: skip
