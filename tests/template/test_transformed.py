"""The transformed template keeps what the design promises. A wrong value passes SAM's validation silently."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from authorizer.service import SLOT_SECONDS, route_needs
from chatapi.catalogue import catalogue, read_policy
from chatapi.keys import SCOPES
from chatapi.prices import dearest
from tests.support.transformed import ROOT, source, transformed

TEMPLATE = transformed()
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
API = RESOURCES["Api"]["Properties"]
PATHS: dict[str, Any] = API["Body"]["paths"]
ROUTES = [(path, method) for path, methods in PATHS.items() for method in methods if method != "options"]
PORTAL = {"/portal", "/portal/{page+}", "/portal/usage", "/portal/usage.js", "/portal/usage.css"}
MACHINES = ("ErasureMachinePolicy", "CallbacksMachinePolicy", "RightsMachinePolicy")
# Agents of the Data Rights Protocol have tokens of their own.
AGENTS = {"/v1/data-rights-request", "/v1/data-rights-request/{id}", "/v1/agent/{id}"}
DIALECTS = {"/.well-known/opendsr.pem", "/v1/privacy/opendsr/v2/discovery", *AGENTS}
PUBLIC = {
    "/.well-known/gpc.json",
    "/.well-known/security.txt",
    "/.well-known/jwks.json",
    "/health",
    "/openapi.json",
    "/v1/leaked-keys",
    "/v1/privacy/downloads/{token}",
}
OPEN = {*PUBLIC, *DIALECTS, *PORTAL}


def of_type(kind: str) -> dict[str, Any]:
    return {name: r["Properties"] for name, r in RESOURCES.items() if r["Type"] == kind}


def uri(path: str, method: str) -> str:
    return json.dumps(PATHS[path][method]["x-amazon-apigateway-integration"]["uri"])


@pytest.mark.parametrize(
    ("path", "method"),
    [r for r in ROUTES if r[0].startswith(("/v1/chat", "/v1/conversations", "/v1/models", "/v1/responses"))],
)
def test_every_route_of_the_chat_function_streams(path: str, method: str) -> None:
    integration = PATHS[path][method]["x-amazon-apigateway-integration"]
    assert integration["responseTransferMode"] == "STREAM"
    assert "/response-streaming-invocations" in uri(path, method)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/embeddings"])
def test_a_chat_may_take_fifteen_minutes_in_both_places(path: str) -> None:
    integration = PATHS[path]["post"]["x-amazon-apigateway-integration"]
    timeout = RESOURCES["ChatFunction"]["Properties"]["Timeout"]
    assert (integration["timeoutInMillis"], timeout) == (900_000, 900)
    assert timeout + 5 == SLOT_SECONDS


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_every_route_asks_the_authorizer_but_the_public_files(path: str, method: str) -> None:
    security = PATHS[path][method].get("security")
    assert security == ([{"NONE": []}] if path in OPEN else [{"KeyAuthorizer": []}])


@pytest.mark.parametrize(("path", "method"), [r for r in ROUTES if r[0] not in OPEN])
def test_the_authorizer_knows_a_scope_for_every_route(path: str, method: str) -> None:
    scope, kind = route_needs(method.upper(), path)
    assert scope in SCOPES
    assert kind in ("chat", "read", "rights")


def test_the_authorizer_reserves_at_the_dearest_price_of_the_policy() -> None:
    told = TEMPLATE["Mappings"]["Prices"]["Dearest"]
    assert told == {
        stage: " ".join(map(str, dearest(stage))) for stage in source()["Parameters"]["Stage"]["AllowedValues"]
    }
    variables = RESOURCES["AuthorizerFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["DEAREST_PRICE"] == {"Fn::FindInMap": ["Prices", "Dearest", {"Ref": "Stage"}]}


def test_a_verdict_is_never_cached() -> None:
    authorizer = API["Body"]["securityDefinitions"]["KeyAuthorizer"]["x-amazon-apigateway-authorizer"]
    assert authorizer["authorizerResultTtlInSeconds"] == 0
    assert authorizer["type"] == "request"


def test_tls_is_1_3_alone() -> None:
    assert API["SecurityPolicy"] == "SecurityPolicy_TLS13_1_3_2025_09"
    assert API["EndpointAccessMode"] == "STRICT"
    assert API["EndpointConfiguration"] == {"Types": ["REGIONAL"]}


def test_what_strangers_reach_of_the_portal_is_throttled() -> None:
    (stage,) = of_type("AWS::ApiGateway::Stage").values()
    limits = {(s["ResourcePath"], s["HttpMethod"]): s["ThrottlingRateLimit"] for s in stage["MethodSettings"]}
    assert limits == {("/~1portal~1{page+}", "POST"): 20, ("/~1portal~1{page+}", "GET"): 100, ("/~1portal", "GET"): 50}


def test_every_gateway_response_has_openais_shape() -> None:
    responses = API["Body"]["x-amazon-apigateway-gateway-responses"]
    for name, response in responses.items():
        error = json.loads(response["responseTemplates"]["application/json"])["error"]
        assert set(error) == {"message", "type", "param", "code"}, name
        assert response["responseParameters"]["gatewayresponse.header.x-request-id"] == "context.requestId"
    statuses = {name: response.get("statusCode") for name, response in responses.items()}
    assert {k: int(statuses[k]) for k in ("UNAUTHORIZED", "ACCESS_DENIED", "MISSING_AUTHENTICATION_TOKEN")} == {
        "UNAUTHORIZED": 401,
        "ACCESS_DENIED": 429,
        "MISSING_AUTHENTICATION_TOKEN": 404,
    }
    assert {"DEFAULT_4XX", "DEFAULT_5XX", "REQUEST_TOO_LARGE"} <= set(responses)


def test_every_store_is_in_the_catalogue_and_the_other_way_round() -> None:
    stores = {**of_type("AWS::DynamoDB::Table"), **of_type("AWS::S3::Bucket")}
    assert set(stores) == set(catalogue().stores.values())


@pytest.mark.parametrize("name", sorted(of_type("AWS::DynamoDB::Table")))
def test_every_table_is_encrypted_by_the_customer_key(name: str) -> None:
    sse = RESOURCES[name]["Properties"]["SSESpecification"]
    assert (sse["SSEEnabled"], sse["SSEType"]) == (True, "KMS")
    assert sse["KMSMasterKeyId"] == {"Fn::GetAtt": ["StoreKey", "Arn"]}


@pytest.mark.parametrize("name", sorted(of_type("AWS::S3::Bucket")))
def test_every_bucket_is_encrypted_and_private(name: str) -> None:
    bucket = RESOURCES[name]["Properties"]
    rule = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"]
    assert rule == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Fn::GetAtt": ["StoreKey", "Arn"]}}
    assert all(bucket["PublicAccessBlockConfiguration"].values())


def test_symmetric_keys_rotate_and_the_signing_key_only_signs() -> None:
    keys = of_type("AWS::KMS::Key")
    assert keys["StoreKey"]["EnableKeyRotation"] is True
    assert keys["EpochKey"]["EnableKeyRotation"] is True
    assert (keys["SigningKey"]["KeySpec"], keys["SigningKey"]["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")


def test_subject_keys_open_in_the_home_region_alone_and_by_the_epochs_alias() -> None:
    assert not any(key.get("MultiRegion") for key in of_type("AWS::KMS::Key").values())
    granted = {}
    for name, statement in statements():
        if "kms:Decrypt" in statement["Action"] and name not in (*MACHINES, "TenantKeysPolicy"):
            condition = statement["Condition"]
            assert condition["StringEquals"] == {"kms:EncryptionContext:purpose": "subject-key"}
            alias = condition["ForAnyValue:StringLike"]["kms:ResourceAliases"]
            assert alias == {"Fn::Sub": "alias/${AWS::StackName}-epoch*"}
            assert ":${AWS::Region}:${AWS::AccountId}:key/*" in statement["Resource"]["Fn::Sub"]
            granted[name] = statement["Action"]
    both = {name: ["kms:GenerateDataKey", "kms:Decrypt"] for name in ("ChatPolicy", "ErasurePolicy")}
    readers = {name: ["kms:Decrypt"] for name in ("IdentityPolicy", "RightsPolicy", "LeaksPolicy")}
    assert granted == {**both, **readers}
    tenants = RESOURCES["TenantKeysPolicy"]
    assert tenants["Condition"] == "HasTenantKeys"
    assert tenants["Properties"]["PolicyDocument"]["Statement"][0]["Resource"] == {"Ref": "TenantKeyArns"}


def test_the_vault_has_no_second_copy() -> None:
    vault = RESOURCES["VaultTable"]["Properties"]
    assert vault["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": False}
    assert not {"StreamSpecification", "TimeToLiveSpecification", "Replicas"} & set(vault)
    assert vault["DeletionProtectionEnabled"] is True


def test_the_certificates_term_is_the_records_backup() -> None:
    pitr = RESOURCES["RecordsTable"]["Properties"]["PointInTimeRecoverySpecification"]
    assert pitr["RecoveryPeriodInDays"] == read_policy("retention")["backups"]["records_days"]


SWEPT = [name.removesuffix("Table") for name, t in of_type("AWS::DynamoDB::Table").items() if "TimeToLive" in str(t)]


def test_no_role_names_a_quarantined_table_and_all_that_expires_is_swept() -> None:
    assert sorted(SWEPT) == ["Projects", "Records", "Requests", "Signals"]
    assert "quarantine" not in json.dumps(TEMPLATE)
    arns = [s["Resource"] for _, s in statements() if "dynamodb:" in str(s["Action"])]
    assert all("*" not in json.dumps(arn).replace("/index/", "") for arn in arns)


def test_a_mark_outlives_the_backup_it_guards_against_by_a_day() -> None:
    days, backups = read_policy("retention")["days"], read_policy("retention")["backups"]
    assert days["mark"] == backups["records_days"] + 1
    marks = [s for n, s in statements() if n == "ChatPolicy" and "RequestsTable" in json.dumps(s["Resource"])]
    assert [s["Condition"] for s in marks] == [{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "m#*"}}]


def statements() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, policy in of_type("AWS::IAM::Policy").items():
        found += [(name, statement) for statement in policy["PolicyDocument"]["Statement"]]
    return found


@pytest.mark.parametrize(("name", "statement"), statements())
def test_no_identity_policy_has_a_wildcard(name: str, statement: dict[str, Any]) -> None:
    resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    assert "*" not in resources, name
    assert not any("*" in action for action in actions), name


def test_every_function_has_a_role_a_log_group_and_a_policy_of_its_own() -> None:
    functions = of_type("AWS::Lambda::Function")
    assert len(functions) == 13
    roles = [json.dumps(f["Role"]) for f in functions.values()]
    groups = [json.dumps(f["LoggingConfig"]["LogGroup"]) for f in functions.values()]
    assert len(set(roles)) == len(set(groups)) == 13
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


def test_only_four_functions_may_send_mail_and_only_the_api_may_start_it() -> None:
    assert {n for n, s in statements() if "ses:SendEmail" in s["Action"]} == {
        "ClockPolicy",
        "IdentityPolicy",
        "LeaksPolicy",
        "MailPolicy",
    }
    (start,) = [s for n, s in statements() if n == "PrivacyPolicy" and "lambda:InvokeFunction" in s["Action"]]
    assert start["Resource"] == {"Fn::GetAtt": ["IdentityFunction", "Arn"]}


def test_only_workflows_may_sign_certificates_and_only_the_erasure_may_delete_exports() -> None:
    signs = {(n, s["Resource"]["Fn::GetAtt"][0]) for n, s in statements() if "kms:Sign" in s["Action"]}
    assert {name for name, key in signs if key == "SigningKey"} == {"ErasurePolicy", "RightsPolicy"}
    assert {name for name, key in signs if key == "DialectKey"} == {"PrivacyPolicy", "CallbacksPolicy"}
    assert {n for n, s in statements() if "s3:DeleteObject" in s["Action"]} == {"ErasurePolicy"}


@pytest.mark.parametrize("name", sorted(of_type("AWS::Logs::LogGroup")))
def test_every_log_group_is_encrypted_and_ends(name: str) -> None:
    group = RESOURCES[name]["Properties"]
    assert group["KmsKeyId"] == {"Fn::GetAtt": ["StoreKey", "Arn"]}
    assert group["RetentionInDays"]


def test_the_access_log_names_routes_never_paths_queries_or_addresses() -> None:
    text = json.dumps(source()["Resources"]["Api"]["Properties"]["AccessLogSetting"])
    named = set(re.findall(r"\$context\.([A-Za-z.]+)", text))
    assert named == {
        "requestId",
        "resourcePath",
        "httpMethod",
        "status",
        "responseLatency",
        "tlsVersion",
        "cipherSuite",
    }
    assert "DataTraceEnabled" not in json.dumps(TEMPLATE)


def test_runtime_and_processor_are_parameters_with_the_defaults_of_production() -> None:
    parameters = TEMPLATE["Parameters"]
    assert (parameters["PythonRuntime"]["Default"], parameters["Architecture"]["Default"]) == ("python3.13", "arm64")
    for function in of_type("AWS::Lambda::Function").values():
        assert function["Runtime"] == {"Ref": "PythonRuntime"}
        assert function["Architectures"] == [{"Ref": "Architecture"}]


def test_chat_may_call_exactly_the_bedrock_models_on_offer() -> None:
    models = read_policy("models")["models"].values()
    offered = {m["upstream"] for m in models if m["provider"] == "bedrock" and "local" not in m["stages"]}
    granted = next(s for n, s in statements() if n == "ChatPolicy" and "bedrock:InvokeModel" in s["Action"])["Resource"]
    assert {arn["Fn::Sub"].rpartition("/")[2] for arn in granted} == offered


def test_every_state_machine_is_encrypted_and_defined_by_a_file() -> None:
    for machine in of_type("AWS::StepFunctions::StateMachine").values():
        assert machine["EncryptionConfiguration"]["Type"] == "CUSTOMER_MANAGED_KMS_KEY"
        assert (ROOT / machine["DefinitionS3Location"]).is_file()


def test_a_role_may_do_to_a_table_what_its_code_does_and_no_more() -> None:
    # what chatapi.store and chatapi.vault call; deleting goes in batches, a wrap is replaced and never patched
    granted: dict[tuple[str, str], set[str]] = {}
    for name, statement in statements():
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        if actions[0].startswith("dynamodb:"):
            resource = statement["Resource"]
            # a table by its ARN, or an index of it
            table = resource["Fn::GetAtt"][0] if "Fn::GetAtt" in resource else resource["Fn::Sub"]
            granted[name, table] = {a.removeprefix("dynamodb:") for a in actions}
    assert granted == {
        ("AccountPolicy", "ProjectsTable"): {"GetItem", "BatchGetItem", "UpdateItem"},
        ("AuthorizerPolicy", "ProjectsTable"): {"UpdateItem"},
        ("AuthorizerSignalsPolicy", "SignalsTable"): {"PutItem", "UpdateItem", "BatchWriteItem"},
        ("ChatPolicy", "ProjectsTable"): {"UpdateItem"},
        ("ChatPolicy", "VaultTable"): {"GetItem", "PutItem"},
        ("ChatPolicy", "RecordsTable"): {"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "BatchWriteItem"},
        ("ChatPolicy", "RequestsTable"): {"BatchWriteItem"},
        ("PrivacyPolicy", "RequestsTable"): {"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem"},
        ("RightsPolicy", "RequestsTable"): {"GetItem", "Query", "UpdateItem"},
        ("RightsPolicy", "VaultTable"): {"GetItem"},
        ("RightsPolicy", "RecordsTable"): {"GetItem", "Query"},
        ("RightsPolicy", "LedgerTable"): {"GetItem", "Query", "PutItem"},
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
        ("ClockPolicy", "RequestsTable"): {"GetItem", "Query", "PutItem", "BatchWriteItem"},
        ("CallbacksPolicy", "RequestsTable"): {"GetItem", "UpdateItem"},
        ("MailPolicy", "RequestsTable"): {"GetItem", "PutItem", "UpdateItem"},
        ("LeaksPolicy", "ProjectsTable"): {"GetItem", "UpdateItem"},
        ("LeaksPolicy", "VaultTable"): {"GetItem"},
        ("LeaksPolicy", "RecordsTable"): {"GetItem", "Query"},
        ("UsagePolicy", "ProjectsTable"): {"GetItem", "PutItem"},
        ("UsagePolicy", "${RecordsTable.Arn}/index/usage"): {"Query"},
    }


def test_the_index_of_usage_is_sparse_and_has_no_row_with_content() -> None:
    (index,) = RESOURCES["RecordsTable"]["Properties"]["GlobalSecondaryIndexes"]
    (key,) = index["KeySchema"]
    with_key = {kind.name for kind in catalogue().of_store("records") if kind.allows(key["AttributeName"])}
    assert (index["IndexName"], with_key) == ("usage", {"day", "remainder"})
    assert not any(catalogue().kinds[name].encrypted for name in with_key)


def test_usage_is_gathered_by_a_schedule() -> None:
    rules = {rule["Targets"][0]["Arn"]["Fn::GetAtt"][0]: rule for rule in of_type("AWS::Events::Rule").values()}
    assert rules["UsageFunction"]["ScheduleExpression"] == {"Ref": "UsageSchedule"}
    assert rules["SweeperFunction"]["ScheduleExpression"] == "rate(1 day)"
    assert rules["ClockFunction"]["ScheduleExpression"] == {"Ref": "ClockSchedule"}
    assert TEMPLATE["Parameters"]["ClockSchedule"]["Default"] == "rate(1 hour)"
    assert TEMPLATE["Parameters"]["UsageSchedule"]["Default"] == "rate(1 hour)"


def test_mail_is_received_only_where_it_is_asked_for_into_a_bucket_that_forgets() -> None:
    (rule,) = RESOURCES["MailBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == read_policy("retention")["days"]["letter"] <= 7
    assert "VersioningConfiguration" not in RESOURCES["MailBucket"]["Properties"]
    for name in ("MailRuleSet", "MailRule", "MailPermission"):
        assert RESOURCES[name]["Condition"] == "ReceivesMail"
    receipt = RESOURCES["MailRule"]["Properties"]["Rule"]
    # the object is there before the function is told
    assert [next(iter(action)) for action in receipt["Actions"]] == ["S3Action", "LambdaAction"]
    assert (receipt["TlsPolicy"], receipt["ScanEnabled"]) == ("Require", True)
    (reads,) = [s for n, s in statements() if n == "MailPolicy" and "s3:GetObject" in s["Action"]]
    assert reads["Resource"] == {"Fn::Sub": "${MailBucket.Arn}/inbound/*"}


def test_signals_are_open_to_who_writes_them_and_to_who_ends_them() -> None:
    named = {n for n, s in statements() if "SignalsTable" in json.dumps(s["Resource"])}
    assert named == {"AuthorizerSignalsPolicy", "SweeperPolicy"}
    assert RESOURCES["AuthorizerSignalsPolicy"]["Properties"]["Roles"] == [{"Ref": "AuthorizerRole"}]


def test_every_function_has_a_rule_to_be_built_by() -> None:
    rules = (ROOT / "functions" / "Makefile").read_text()
    assert [name for name in of_type("AWS::Lambda::Function") if f"build-{name}" not in rules] == []
