"""Who may do what, by the policies of the template: a role a function, and no more than its code does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chat.entries import BEDROCK
from chatapi.catalogue import read_policy
from chatapi.store.project_flags import FLAGS
from chatapi.store.project_terms import ATTRIBUTES
from tests.template.resources import RESOURCES, SWEPT, of_type, statements

MACHINES = tuple(f"{name}MachinePolicy" for name in ("Erasure", "Callbacks", "Consent", "Rights", "Changes", "Epoch"))
TENANTS = ("TenantKeysPolicy", "TenantKeysReadersPolicy")


def test_subject_keys_open_in_the_home_region_alone_and_by_the_epochs_alias() -> None:
    assert not any(key.get("MultiRegion") for key in of_type("AWS::KMS::Key").values())
    granted = {}
    for name, statement in statements():
        if "kms:Decrypt" in statement["Action"] and name not in (*MACHINES, *TENANTS):
            condition = statement["Condition"]
            assert condition["StringEquals"] == {"kms:EncryptionContext:purpose": "subject-key"}
            alias = condition["ForAnyValue:StringLike"]["kms:ResourceAliases"]
            assert alias == {"Fn::Sub": "alias/${AWS::StackName}-epoch*"}
            assert ":${AWS::Region}:${AWS::AccountId}:key/*" in statement["Resource"]["Fn::Sub"]
            granted[name] = statement["Action"]
    both = {name: ["kms:GenerateDataKey", "kms:Decrypt"] for name in ("ChatPolicy", "ErasurePolicy", "ChangesPolicy")}
    readers = {name: ["kms:Decrypt"] for name in ("IdentityPolicy", "RightsPolicy", "LeaksPolicy")}
    assert granted == {**both, **readers}
    # a key that a project brought is open to the same functions, for the same
    for name, own in (("TenantKeysPolicy", both), ("TenantKeysReadersPolicy", readers)):
        assert RESOURCES[name]["Condition"] == "HasTenantKeys"
        (statement,) = RESOURCES[name]["Properties"]["PolicyDocument"]["Statement"]
        assert statement["Resource"] == {"Ref": "TenantKeyArns"}
        assert statement["Condition"] == {"StringEquals": {"kms:EncryptionContext:purpose": "subject-key"}}
        assert [statement["Action"]] * len(own) == list(own.values())
        roles = [{"Ref": policy.removesuffix("Policy") + "Role"} for policy in own]
        assert sorted(map(str, RESOURCES[name]["Properties"]["Roles"])) == sorted(map(str, roles))


@pytest.mark.parametrize(("name", "statement"), statements())
def test_no_identity_policy_has_a_wildcard(name: str, statement: dict[str, Any]) -> None:
    resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    # of what KMS knows no resource for: to make a key, on conditions, and to list the names of keys
    unbounded = {("EpochBeginPolicy", "kms:CreateKey"), ("EpochRetirePolicy", "kms:ListAliases")}
    assert "*" not in resources or [(name, action) for action in actions] == [one for one in unbounded if name in one]
    assert not any("*" in action for action in actions), name


def test_every_function_has_a_role_a_log_group_and_a_policy_of_its_own() -> None:
    functions = of_type("AWS::Lambda::Function")
    assert len(functions) == 18
    roles = [json.dumps(f["Role"]) for f in functions.values()]
    groups = [json.dumps(f["LoggingConfig"]["LogGroup"]) for f in functions.values()]
    assert len(set(roles)) == len(set(groups)) == 18
    for role in of_type("AWS::IAM::Role").values():
        assert not role.get("Policies")


def test_the_authorizer_may_update_projects_and_read_two_secrets_and_nothing_else() -> None:
    actions = {
        a
        for n, s in statements()
        if n == "AuthorizerPolicy"
        for a in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])
    }
    assert actions == {
        "dynamodb:UpdateItem",
        "secretsmanager:GetSecretValue",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    }


def test_only_five_functions_may_send_mail_and_only_the_api_may_start_it() -> None:
    assert {n for n, s in statements() if "ses:SendEmail" in s["Action"]} == {
        "ChangesPolicy",
        "ClockPolicy",
        "IdentityPolicy",
        "LeaksPolicy",
        "MailPolicy",
    }
    (start,) = [s for n, s in statements() if n == "PrivacyPolicy" and "lambda:InvokeFunction" in s["Action"]]
    # the other one is the desk: what is handed in there is sealed, and nothing comes back
    assert start["Resource"] == [{"Fn::GetAtt": [f"{name}Function", "Arn"]} for name in ("Identity", "Changes")]


def test_only_workflows_may_sign_certificates_and_delete_exports_that_are_erased_or_not_right_any_more() -> None:
    signs = {(n, s["Resource"]["Fn::GetAtt"][0]) for n, s in statements() if "kms:Sign" in s["Action"]}
    signers = {"ConsentPolicy", "ErasurePolicy", "RightsPolicy", "ChangesPolicy"}
    assert {name for name, key in signs if key == "SigningKey"} == signers
    assert {name for name, key in signs if key == "DialectKey"} == {"PrivacyPolicy", "CallbacksPolicy"}
    assert {n for n, s in statements() if "s3:DeleteObject" in s["Action"]} == {"ErasurePolicy", "ChangesPolicy"}


def test_chat_may_call_exactly_the_bedrock_models_on_offer() -> None:
    models = read_policy("models")["models"].values()
    offered = {m["upstream"] for m in models if m["provider"] in BEDROCK and "local" not in m["stages"]}
    granted = next(s for n, s in statements() if n == "ChatPolicy" and "bedrock:InvokeModel" in s["Action"])["Resource"]
    assert {arn["Fn::Sub"].rpartition("/")[2] for arn in granted} == offered


def test_chat_may_apply_exactly_the_guardrails_of_the_policy() -> None:
    arn = "arn:${AWS::Partition}:bedrock:${AWS::Region}:${AWS::AccountId}:guardrail/"
    ids = {entry["id"] for entry in read_policy("guardrails")["guardrails"].values()}
    granted = [s["Resource"] for n, s in statements() if n == "ChatPolicy" and s["Action"] == "bedrock:ApplyGuardrail"]
    assert [each["Fn::Sub"] for each in granted] == [arn + each for each in sorted(ids)]


def test_chat_may_read_exactly_the_api_keys_of_the_register() -> None:
    # written as arn:…:secret:${AWS::StackName}/provider/NAME-??????, the suffix being Secrets Manager's own
    secrets = {p["secret"] for p in read_policy("processors")["processors"].values() if "secret" in p}
    reads = [s for n, s in statements() if n == "ChatPolicy" and s["Action"] == "secretsmanager:GetSecretValue"]
    granted = [s["Resource"]["Fn::Sub"] for s in reads if s["Resource"] != {"Ref": "SubjectPepperSecret"}]
    variables = RESOURCES["ChatFunction"]["Properties"]["Environment"]["Variables"]
    arn = (
        "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:"
        + variables["PROVIDER_SECRETS"]["Fn::Sub"]
    )
    assert granted == [f"{arn}{name}-??????" for name in sorted(secrets)]


def test_a_role_may_do_to_a_table_what_its_code_does_and_no_more() -> None:
    # what chatapi.store and chatapi.vault call; deleting goes in batches, a wrap is replaced and never patched
    granted: dict[tuple[str, str], set[str]] = {}
    for name, statement in statements():
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        if actions[0].startswith("dynamodb:"):
            resource = statement["Resource"]
            # a table by its ARN, or an index of it
            table = resource["Fn::GetAtt"][0] if "Fn::GetAtt" in resource else resource["Fn::Sub"]
            granted.setdefault((name, table), set()).update(a.removeprefix("dynamodb:") for a in actions)
    assert granted == {
        ("AccountPolicy", "ProjectsTable"): {"GetItem", "BatchGetItem", "UpdateItem"},
        ("AuthorizerPolicy", "ProjectsTable"): {"UpdateItem"},
        ("AuthorizerSignalsPolicy", "SignalsTable"): {"PutItem", "UpdateItem", "BatchWriteItem"},
        ("ChatPolicy", "ProjectsTable"): {"UpdateItem"},
        ("ChatPolicy", "VaultTable"): {"GetItem", "PutItem"},
        ("ChatPolicy", "RecordsTable"): {"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "BatchWriteItem"},
        ("ChatPolicy", "RequestsTable"): {"BatchWriteItem", "Query"},
        ("ChatPolicy", "PatternsTable"): {"PutItem", "UpdateItem", "BatchWriteItem"},
        ("PrivacyPolicy", "ProjectsTable"): {"GetItem", "UpdateItem"},
        ("PrivacyPolicy", "RequestsTable"): {"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem"},
        ("RightsPolicy", "RequestsTable"): {"GetItem", "Query", "UpdateItem"},
        ("RightsPolicy", "VaultTable"): {"GetItem"},
        ("RightsPolicy", "RecordsTable"): {"Query"},
        ("RightsPolicy", "LedgerTable"): {"GetItem", "Query", "PutItem"},
        ("ChangesPolicy", "RequestsTable"): {"GetItem", "Query", "UpdateItem", "BatchWriteItem"},
        ("ChangesPolicy", "VaultTable"): {"GetItem", "PutItem"},
        ("ChangesPolicy", "RecordsTable"): {
            "GetItem",
            "BatchGetItem",
            "Query",
            "PutItem",
            "UpdateItem",
            "BatchWriteItem",
        },
        ("ChangesPolicy", "LedgerTable"): {"GetItem", "Query", "PutItem"},
        **{("SweeperPolicy", f"{store}Table"): {"Scan", "DeleteItem"} for store in SWEPT},
        ("ErasurePolicy", "RequestsTable"): {"GetItem", "Query", "PutItem", "UpdateItem", "BatchWriteItem"},
        ("ErasurePolicy", "VaultTable"): {"GetItem", "PutItem"},
        # a day row ends and its counts stay, in one transaction
        ("ErasurePolicy", "RecordsTable"): {
            "GetItem",
            "Query",
            "PutItem",
            "UpdateItem",
            "DeleteItem",
            "BatchWriteItem",
        },
        ("ErasurePolicy", "LedgerTable"): {"GetItem", "Query", "PutItem"},
        # counts a challenge's step, reads the owner's address
        ("IdentityPolicy", "RequestsTable"): {"GetItem", "UpdateItem"},
        ("IdentityPolicy", "VaultTable"): {"GetItem"},
        ("IdentityPolicy", "RecordsTable"): {"GetItem", "Query"},
        ("ClockPolicy", "RequestsTable"): {"GetItem", "Query", "PutItem", "UpdateItem", "BatchWriteItem"},
        ("CallbacksPolicy", "RequestsTable"): {"GetItem", "UpdateItem"},
        ("ConsentPolicy", "RequestsTable"): {"GetItem", "Query", "UpdateItem", "BatchWriteItem"},
        ("ConsentPolicy", "VaultTable"): {"GetItem"},
        ("ConsentPolicy", "RecordsTable"): {"Query", "BatchWriteItem"},
        ("MailPolicy", "RequestsTable"): {"GetItem", "PutItem", "UpdateItem"},
        # the turn of an epoch: every wrap, and of a project the KMS key that it brought
        ("EpochMovePolicy", "VaultTable"): {"Scan", "GetItem", "PutItem"},
        ("EpochMovePolicy", "ProjectsTable"): {"GetItem"},
        ("LeaksPolicy", "ProjectsTable"): {"GetItem", "UpdateItem"},
        ("LeaksPolicy", "VaultTable"): {"GetItem"},
        ("LeaksPolicy", "RecordsTable"): {"GetItem", "Query"},
        ("UsagePolicy", "ProjectsTable"): {"GetItem", "PutItem"},
        ("UsagePolicy", "${RecordsTable.Arn}/index/usage"): {"Query"},
    }


def test_signals_are_open_to_who_writes_them_and_to_who_ends_them() -> None:
    named = {n for n, s in statements() if "SignalsTable" in json.dumps(s["Resource"])}
    assert named == {"AuthorizerSignalsPolicy", "SweeperPolicy"}
    assert RESOURCES["AuthorizerSignalsPolicy"]["Properties"]["Roles"] == [{"Ref": "AuthorizerRole"}]


def test_choices_are_read_by_chat_and_flagged_by_the_api_and_patterns_are_read_by_no_function() -> None:
    reads = [s for n, s in statements() if n == "ChatPolicy" and s["Action"] == "dynamodb:Query"]
    assert [s["Condition"] for s in reads] == [{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "n#*"}}]
    flags, terms = [s for n, s in statements() if n == "PrivacyPolicy" and "ProjectsTable" in json.dumps(s["Resource"])]
    assert terms["Condition"] == {  # of a project the portal reads on which terms it stores
        "ForAllValues:StringEquals": {"dynamodb:Attributes": list(ATTRIBUTES)},
        "StringEquals": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
    }
    assert flags["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "kind", *FLAGS]},
        "StringEquals": {"dynamodb:ReturnValues": "NONE"},
    }
    named = {n for n, s in statements() if "PatternsTable" in json.dumps(s["Resource"])}
    assert named == {"ChatPolicy", "SweeperPolicy"}
