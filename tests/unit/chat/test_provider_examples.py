"""The worked examples of docs/providers.md are entries that the register and the template's test take."""

from __future__ import annotations

import datetime
import re
import tomllib
from typing import Any

import pytest

from chat import receipts
from chat.entries import check_model, check_processors, guardrails
from chat.models import Registry
from chatapi.catalogue import read_policy
from tests.support.transformed import ROOT

PAGE = (ROOT / "docs" / "providers.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


EXAMPLES: dict[str, dict[str, Any]] = {"models": {}, "processors": {}, "transfers": {}, "guardrails": {}}
for block in blocks("toml"):
    for file, entries in tomllib.loads(block).items():
        EXAMPLES[file] |= entries


def test_they_are_entries_as_they_stand() -> None:
    known = guardrails(EXAMPLES["guardrails"])
    assert known["example"].mode == "sync"
    check_processors(EXAMPLES["processors"], EXAMPLES["transfers"])
    for name, model in EXAMPLES["models"].items():
        check_model(name, model, EXAMPLES["processors"][model["processor"]], known)


def test_the_first_one_is_offered_and_told_as_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for file, entries in EXAMPLES.items():
        for name, entry in entries.items():
            monkeypatch.setitem(read_policy(file)[file], name, entry)
    registry = Registry("prod", openai=False, region="eu-central-1")
    model = registry.permitted(registry.get("example-gpt", ()), datetime.date(2026, 6, 1))
    told = receipts.header(model, None).removeprefix("retained=none; ")
    assert told in " ".join(PAGE.split())
    assert "example-azure" not in registry.models


def test_the_lines_of_the_template_name_the_secret_and_the_guardrail() -> None:
    line, guarded = blocks("yaml")
    assert f":guardrail/{EXAMPLES['guardrails']['example']['id']}" in guarded
    (secret,) = (entry["secret"] for entry in EXAMPLES["processors"].values())
    assert f":secret:${{AWS::StackName}}/provider/{secret}-??????" in line


def test_the_page_names_every_kind_of_provider() -> None:
    from chat.providers.dialects import DIALECTS

    assert all(f"`{kind}`" in PAGE for kind in (*DIALECTS, "bedrock"))
