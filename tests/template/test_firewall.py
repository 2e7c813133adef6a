"""AWS WAF in the transformed template: on in production, harmless to bodies, and it keeps no request."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from tests.support.transformed import ROOT, transformed

TEMPLATE = transformed()
RESOURCES = TEMPLATE["Resources"]
ACL: dict[str, Any] = RESOURCES["Firewall"]["Properties"]
RULES = {rule["Name"]: rule for rule in ACL["Rules"]}


def group(name: str) -> dict[str, Any]:
    statement: dict[str, Any] = RULES[name]["Statement"]["ManagedRuleGroupStatement"]
    return statement


def test_it_is_on_in_production_and_off_on_this_machine() -> None:
    assert {RESOURCES[name]["Condition"] for name in ("Firewall", "FirewallAssociation")} == {"HasFirewall"}
    assert TEMPLATE["Conditions"]["HasFirewall"] == {
        "Fn::Or": [
            {"Fn::Equals": [{"Ref": "WebFirewall"}, "true"]},
            {"Fn::And": [{"Fn::Equals": [{"Ref": "WebFirewall"}, "auto"]}, {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}]},
        ]
    }
    assert TEMPLATE["Parameters"]["WebFirewall"]["Default"] == "auto"
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    assert "WebFirewall=true" in config["prod"]["deploy"]["parameters"]["parameter_overrides"]


def test_a_flood_of_one_address_and_aws_lists_of_attacks_are_blocked() -> None:
    assert RULES["rate"]["Action"] == {"Block": {}}
    assert RULES["rate"]["Statement"]["RateBasedStatement"]["AggregateKeyType"] == "IP"
    assert {group(name)["Name"] for name in RULES if name != "rate"} == {
        "AWSManagedRulesAmazonIpReputationList",
        "AWSManagedRulesCommonRuleSet",
        "AWSManagedRulesKnownBadInputsRuleSet",
    }
    assert all(RULES[name]["OverrideAction"] == {"None": {}} for name in RULES if name != "rate")
    assert len({rule["Priority"] for rule in RULES.values()}) == len(RULES)


def test_no_rule_judges_what_people_write() -> None:
    # a body of 4 MiB, or one that asks about a script or a path, is a chat
    counted = {
        override["Name"]
        for name in RULES
        if name != "rate"
        for override in group(name).get("RuleActionOverrides", ())
        if override["ActionToUse"] == {"Count": {}}
    }
    assert counted == {
        "SizeRestrictions_BODY",
        "CrossSiteScripting_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
        "EC2MetaDataSSRF_BODY",
        "JavaDeserializationRCE_BODY",
        "Log4JRCE_BODY",
        "NoUserAgent_HEADER",
    }


def test_no_request_is_sampled_or_logged() -> None:
    assert [each["VisibilityConfig"]["SampledRequestsEnabled"] for each in (ACL, *RULES.values())] == [False] * 5
    assert "AWS::WAFv2::LoggingConfiguration" not in json.dumps(TEMPLATE)


def test_it_stands_before_the_stage_of_the_api() -> None:
    association = RESOURCES["FirewallAssociation"]["Properties"]
    assert association["WebACLArn"] == {"Fn::GetAtt": ["Firewall", "Arn"]}
    text = association["ResourceArn"]["Fn::Sub"]
    assert text.startswith("arn:${AWS::Partition}:apigateway:${AWS::Region}::/restapis/${Api}/stages/")
    stage = text.rpartition("/")[2].removeprefix("${").removesuffix("}")
    assert RESOURCES[stage]["Type"] == "AWS::ApiGateway::Stage"
