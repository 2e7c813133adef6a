"""What the chat function loads before its first request, and what it loads only for who needs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import chatapi.vault
from chatapi.clock import FixedClock
from chatapi.wiring import vault_when_needed

SETTINGS = ("VAULT_TABLE", "RECORDS_TABLE", "REQUESTS_TABLE", "PROJECTS_TABLE", "EPOCH_KEY", "SUBJECT_PEPPER_SECRET")
LOADED = """
import json, sys
import chat.handler
chat.handler._ready()
print(json.dumps(sorted(sys.modules)))
"""


def loaded() -> set[str]:
    settings = dict.fromkeys(SETTINGS, "x") | {"AWS_REGION": "eu-central-1", "STAGE": "local", "MODEL_URL": ""}
    environment = {**settings, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_a_ready_function_has_loaded_neither_what_encrypts_nor_pydantic() -> None:
    modules = loaded()
    assert "chat.requests" in modules
    assert not modules & {
        "pydantic",
        "chat.wire",
        "importlib.metadata",
        "cryptography",
        "chatapi.vault.format",
        "chat.responses.wire",
        "boto3",
    }


def test_pydantic_asks_for_plug_ins_where_none_are_found() -> None:
    from pydantic.plugin import _schema_validator

    assert "get_plugins" in _schema_validator.create_schema_validator.__code__.co_names
    code = "import sys, chatapi.strict; print(sys.modules['pydantic.plugin._loader'].get_plugins())"
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "()\n"


def test_the_vault_is_made_when_something_is_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nobody:
        def call(self, operation: str, payload: dict[str, object]) -> dict[str, object]:
            raise AssertionError("making the vault asks nobody for anything")

    monkeypatch.setenv("VAULT_TABLE", "t")
    monkeypatch.setenv("EPOCH_KEY", "k")
    vault = vault_when_needed(Nobody(), Nobody(), FixedClock())
    assert vault.writer.__func__ is chatapi.vault.Vault.writer  # type: ignore[attr-defined]


def test_the_vaults_names_are_there_though_some_load_later() -> None:
    assert all(hasattr(chatapi.vault, name) for name in chatapi.vault.__all__)
    assert not hasattr(chatapi.vault, "anything_else")
