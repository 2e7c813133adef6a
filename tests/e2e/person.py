"""An end user of the first project, as a developer's server and an operator act for it."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import httpx
from openai import OpenAI

from tests.e2e.local_stack import RunningStack
from tests.support.transformed import ROOT

ENDED = ("completed", "failed", "cancelled", "on_hold")


class Person:
    """An end user of the first project."""

    def __init__(self, stack: RunningStack, name: str) -> None:
        self.stack, self.name = stack, name
        self.http = httpx.Client(
            base_url=stack.info.base_url, headers={"authorization": f"Bearer {stack.info.api_key}"}, timeout=30
        )

    def chats(self, text: str, tokens: int = 4) -> str:
        messages: Any = [{"role": "user", "content": text}]
        with OpenAI(base_url=self.stack.info.base_url, api_key=self.stack.info.api_key, max_retries=0) as api:
            done = api.chat.completions.create(
                model="smollm2-135m", messages=messages, store=True, user=self.name, max_tokens=tokens
            )
        return done.id

    def asks(self, right: str, **more: Any) -> dict[str, Any]:
        asked = self.http.post("/privacy/requests", json={"type": right, "subject": {"user": self.name}, **more})
        assert asked.status_code == 202, asked.text
        return self.until(asked.json()["id"], *ENDED)

    def until(self, request: str, *states: str) -> dict[str, Any]:
        """Follow a request, at the pace that the project may ask."""
        deadline = time.monotonic() + 120
        while True:
            found: dict[str, Any] = self.get(f"/privacy/requests/{request}").raise_for_status().json()
            if found["status"] in states:
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.2)

    def get(self, path: str) -> httpx.Response:
        """The answer, asked for again where the project has asked too often."""
        while (answer := self.http.get(path)).status_code == 429:
            time.sleep(float(answer.headers["retry-after"]))
        return answer

    def export(self, request: str) -> bytes:
        """The ZIP of a finished export, by a link of its own."""
        link = self.get(f"/privacy/requests/{request}/export").raise_for_status().json()["url"]
        return httpx.get(link, follow_redirects=True).raise_for_status().content

    @staticmethod
    def command(*words: str) -> list[str]:
        return [str(ROOT / ".venv" / "bin" / "chatapi"), *words]

    def operator(self, *words: str) -> Any:
        done = subprocess.run(
            self.command(*words),
            env=self.stack.cli_environment(),
            input=self.name + "\n",
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)
