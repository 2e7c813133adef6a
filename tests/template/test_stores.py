"""What the template makes of stores, keys and logs: encrypted, bounded in life, each in the catalogue."""

from __future__ import annotations

import json
import re

import pytest

from chatapi.catalogue import catalogue, read_policy
from tests.support.transformed import ROOT, source
from tests.template.resources import RESOURCES, SWEPT, TEMPLATE, of_type, statements


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


def test_the_vault_has_no_second_copy() -> None:
    vault = RESOURCES["VaultTable"]["Properties"]
    assert vault["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": False}
    assert not {"StreamSpecification", "TimeToLiveSpecification", "Replicas"} & set(vault)
    assert vault["DeletionProtectionEnabled"] is True


def test_the_certificates_term_is_the_records_backup() -> None:
    pitr = RESOURCES["RecordsTable"]["Properties"]["PointInTimeRecoverySpecification"]
    assert pitr["RecoveryPeriodInDays"] == read_policy("retention")["backups"]["records_days"]


def test_no_role_names_a_quarantined_table_and_all_that_expires_is_swept() -> None:
    assert sorted(SWEPT) == ["Patterns", "Projects", "Records", "Requests", "Signals"]
    assert "quarantine" not in json.dumps(TEMPLATE)
    arns = [s["Resource"] for _, s in statements() if "dynamodb:" in str(s["Action"])]
    assert all("*" not in json.dumps(arn).replace("/index/", "") for arn in arns)


def test_a_mark_outlives_the_backup_it_guards_against_by_a_day() -> None:
    days, backups = read_policy("retention")["days"], read_policy("retention")["backups"]
    assert days["mark"] == backups["records_days"] + 1
    marks = [s for n, s in statements() if n == "ChatPolicy" and "RequestsTable" in json.dumps(s["Resource"])]
    marks = [s for s in marks if s["Action"] == "dynamodb:BatchWriteItem"]
    assert [s["Condition"] for s in marks] == [{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "m#*"}}]


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


def test_every_state_machine_is_encrypted_and_defined_by_a_file() -> None:
    for machine in of_type("AWS::StepFunctions::StateMachine").values():
        assert machine["EncryptionConfiguration"]["Type"] == "CUSTOMER_MANAGED_KMS_KEY"
        assert (ROOT / machine["DefinitionS3Location"]).is_file()


def test_the_index_of_usage_is_sparse_and_has_no_row_with_content() -> None:
    (index,) = RESOURCES["RecordsTable"]["Properties"]["GlobalSecondaryIndexes"]
    (key,) = index["KeySchema"]
    with_key = {kind.name for kind in catalogue().of_store("records") if kind.allows(key["AttributeName"])}
    assert (index["IndexName"], with_key) == ("usage", {"day", "remainder"})
    assert not any(catalogue().kinds[name].encrypted for name in with_key)
