"""`make bench-peers` says what is not there instead of measuring it. Nothing is measured here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import peers, stubs
from benchmarks.bedrock_stub import _event
from chat.providers.eventstream import EventStreamDecoder


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(peers.GATEWAY, raising=False)
    monkeypatch.setattr(peers, "PYTHON", tmp_path / "python")
    assert peers._missing("chatapi") == ""
    assert "requirements/peers.txt" in peers._missing("litellm")
    assert peers._vault() == {}

    (tmp_path / "python").touch()
    assert peers._missing("litellm") == ""
    assert peers.GATEWAY in peers._missing("bedrock_access_gateway")
    monkeypatch.setenv(peers.GATEWAY, str(tmp_path))
    assert peers._missing("bedrock_access_gateway") == ""


def test_a_peer_is_set_beside_ours() -> None:
    figures = {"chatapi.cpu_ms": 2.0, "litellm.cpu_ms": 9.0, "chatapi.cpu_with_edge_ms": 3.0}
    assert peers._ratio("litellm.cpu_ms", figures).split() == ["4.5", "times", "ours"]
    assert peers._ratio("chatapi.cpu_ms", figures) == peers._ratio("chatapi.cpu_with_edge_ms", figures) == ""


def test_the_stub_speaks_the_encoding_of_bedrock() -> None:
    class Connection:
        sent = b""

        def sendall(self, data: bytes) -> None:
            self.sent += data

    chunk = _event("messageStop", {"stopReason": "end_turn"})
    size, _, rest = chunk.partition(b"\r\n")
    (message,) = EventStreamDecoder().feed(rest[: int(size, 16)])
    assert message.headers[":event-type"] == "messageStop"
    connection: Any = Connection()
    stubs._answer(connection, stubs._completion(2))
    assert json.loads(connection.sent.partition(b"\r\n\r\n")[2])["choices"][0]["message"]["content"] == " word word"


def test_the_documentation_explains_every_figure() -> None:
    text = (Path(__file__).parents[2] / "docs" / "performance.md").read_text(encoding="utf-8")
    vault = ("vault_pair_2k", "vault_history_50x2k")
    assert [name for name in (*peers.FIGURES, *vault) if f"`{name}`" not in text] == []
