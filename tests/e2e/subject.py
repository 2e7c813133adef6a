"""A person who is erased while others look on: what they have, ask for and get, and the operator who acts on it."""

from __future__ import annotations

import json
import os
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner

from chatapi_cli.main import app
from tests.e2e.person import Person


class Subject(Person):
    """A person of whom conversations are stored."""

    def command_says(self, *words: str) -> Any:
        """What `chatapi` prints, run in this process: it is run often."""
        with patch.dict(os.environ, self.stack.cli_environment()):
            done = CliRunner().invoke(app, list(words), input=self.name + "\n")
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    def stores(self) -> None:
        items = [{"type": "message", "role": "user", "content": "hello"}]
        for _ in range(2):
            self.http.post("/conversations", json={"items": items, "user": self.name}).raise_for_status()

    def hold(self, *kinds: str) -> dict[str, Any]:
        named = [word for kind in kinds for word in ("--kind", kind)]
        add = ("holds", "add", self.stack.info.project_id, "--user", "-", *named)
        made: dict[str, Any] = self.command_says(*add, "--basis", "tax law", "--by", "dpo", "--days", "9")
        return made

    def releases(self, hold: str) -> None:
        self.command_says("holds", "release", self.stack.info.project_id, hold, "--user", "-")

    def begins(self) -> str:
        """The id of an erasure."""
        asked = self.http.post("/privacy/requests", json={"type": "erasure", "subject": {"user": self.name}})
        assert asked.status_code == 202, asked.text
        return str(asked.json()["id"])

    def cancels(self, request: str) -> int:
        return self.http.post(f"/privacy/requests/{request}/cancel").status_code

    def resumes(self, request: str) -> None:
        self.command_says("requests", "resume", self.stack.info.project_id, request, "--json")

    def request(self, request: str) -> dict[str, Any]:
        """What is told of it."""
        told: dict[str, Any] = self.get(f"/privacy/requests/{request}").raise_for_status().json()
        return told

    def certificate(self, request: str, part: str = "") -> bytes:
        """Its bytes; none while there is none."""
        path = f"/privacy/requests/{request}/certificate" + (f"?part={part}" if part else "")
        answer = self.get(path)
        assert answer.status_code in (200, 404), answer.text
        return answer.content if answer.status_code == 200 else b""
