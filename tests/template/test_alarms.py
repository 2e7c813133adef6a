"""Alarms of the transformed template: on events that the code really logs, to a topic that is encrypted."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.transformed import ROOT, source, transformed

RESOURCES: dict[str, Any] = transformed()["Resources"]
FILTERS = {name: r for name, r in RESOURCES.items() if r["Type"] == "AWS::Logs::MetricFilter"}
ALARMS = {name: r for name, r in RESOURCES.items() if r["Type"] == "AWS::CloudWatch::Alarm"}
CODE = "\n".join(path.read_text() for path in sorted((ROOT / "functions").rglob("*.py")))


@pytest.mark.parametrize("name", FILTERS)
def test_a_metric_counts_an_event_that_is_logged_and_has_an_alarm(name: str) -> None:
    properties = FILTERS[name]["Properties"]
    (transformation,) = properties["MetricTransformations"]
    event = transformation["MetricName"]
    assert properties["FilterPattern"] == f'{{ $.event = "{event}" }}'
    assert f'"{event}"' in CODE
    assert properties["LogGroupName"]["Ref"] in RESOURCES
    if transformation["MetricValue"] != "1":  # how a job comes on, which is for a graph
        assert transformation["MetricValue"] == "$.count"
        return
    (alarm,) = (a["Properties"] for a in ALARMS.values() if a["Properties"]["MetricName"] == event)
    assert alarm["Namespace"] == transformation["MetricNamespace"]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")


def test_the_events_that_matter_are_counted() -> None:
    counted = {f["Properties"]["MetricTransformations"][0]["MetricName"] for f in FILTERS.values()}
    assert counted >= {"authorizer_failed", "store_open", "settle_failed", "disclosure_failed", "case_overdue"}
    assert counted >= {"pattern_failed", "sample_failed"}
    assert "expired_left" in counted
    assert any(alarm["Properties"]["MetricName"] == "5XXError" for alarm in ALARMS.values())


def _watched(metric: str) -> set[str]:
    """The resources that an alarm on a metric of AWS's own stands for."""
    found = (alarm["Properties"] for alarm in ALARMS.values())
    return {alarm["Dimensions"][0]["Value"]["Ref"] for alarm in found if alarm["MetricName"] == metric}


def test_a_workflow_that_fails_is_an_alarm_whichever_it_is() -> None:
    machines = {name for name, r in RESOURCES.items() if r["Type"] == "AWS::StepFunctions::StateMachine"}
    assert _watched("ExecutionsFailed") == machines


def test_a_function_that_nobody_waits_for_is_an_alarm_when_it_fails() -> None:
    scheduled = {
        target["Arn"]["Fn::GetAtt"][0]
        for r in RESOURCES.values()
        if r["Type"] == "AWS::Events::Rule"
        for target in r["Properties"]["Targets"]
        if "Fn::GetAtt" in target["Arn"]
    }
    assert _watched("Errors") == scheduled | {"IdentityFunction", "MailFunction"}
    assert len(scheduled) == 3


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_reaches_the_topic_and_is_not_made_locally(name: str) -> None:
    assert ALARMS[name]["Properties"]["AlarmActions"] == [{"Ref": "AlarmTopic"}]
    assert ALARMS[name]["Properties"]["TreatMissingData"] == "notBreaching"
    assert ALARMS[name]["Condition"] == "HasAlarms"


def test_the_operators_page_says_what_each_alarm_means() -> None:
    page = (ROOT / "docs" / "operators.md").read_text().partition("## Alarms")[2]
    named = set(
        re.findall(r"`([a-z0-9_]+)`", "\n".join(line.split("|")[1] for line in page.splitlines() if "|" in line))
    )
    names = {alarm["Properties"]["AlarmName"]["Fn::Sub"].rpartition("}-")[2] for alarm in ALARMS.values()}
    assert named == names


def test_the_topic_is_encrypted_with_a_key_that_cloudwatch_may_use() -> None:
    assert RESOURCES["AlarmTopic"]["Properties"]["KmsMasterKeyId"] == {"Ref": "StoreKey"}
    statements = RESOURCES["StoreKey"]["Properties"]["KeyPolicy"]["Statement"]
    (grant,) = (s for s in statements if s["Principal"] == {"Service": "cloudwatch.amazonaws.com"})
    assert set(grant["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*"}
    assert "aws:SourceAccount" in grant["Condition"]["StringEquals"]


def test_the_store_fails_closed_by_default() -> None:
    parameter = source()["Parameters"]["WhenStoreFails"]
    assert (parameter["Default"], parameter["AllowedValues"]) == ("closed", ["closed", "open"])
