"""The `llm` command with a plain `extra-openai-models.yaml`, as its documentation has it. It shows no headers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import harness
from harness import ANSWER, LIVE, MODEL, WEATHER, asked, run, script

HOME = tempfile.TemporaryDirectory()
YAML = f"""
- model_id: chatapi
  model_name: {MODEL}
  api_base: "{LIVE["base_url"]}"
  api_key_name: chatapi
  supports_schema: true
  supports_tools: true
"""
(Path(HOME.name) / "extra-openai-models.yaml").write_text(YAML)
(Path(HOME.name) / "keys.json").write_text(json.dumps({"chatapi": LIVE["api_key"]}))


def llm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, harness.__file__, "llm", "prompt", "-m", "chatapi", *arguments]
    environment = os.environ | {"LLM_USER_PATH": HOME.name}
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def said(*arguments: str) -> str:
    done = llm(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def case_plain_with_usage() -> None:
    done = llm("Hello?", "--no-stream", "--usage")
    assert done.stdout.strip() == ANSWER, done.stderr
    assert "6 output" in done.stderr


def case_a_stream_with_usage() -> None:
    done = llm("Hello?", "--usage")
    assert done.stdout.strip() == ANSWER, done.stderr
    assert "6 output" in done.stderr


def case_a_tool_call_and_its_result() -> None:
    script(WEATHER)
    function = 'def weather(city: str) -> str:\n    "The weather"\n    return f"Sunny in {city}."'
    assert said("And the weather?", "--functions", function).endswith(ANSWER)
    sent = asked()[-1]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool"]
    assert sent[-1]["content"] == "Sunny in Wien."


def case_structured_output() -> None:
    script({"pieces": ['{"name": "Wien", ', '"people": 2000000}']})
    assert json.loads(said("A city", "--schema", "name, people int")) == {"name": "Wien", "people": 2000000}
    assert asked()[-1]["response_format"]["type"] == "json_schema"


def case_a_wrong_key() -> None:
    done = llm("Hello?", "--key", "sk-wrong")
    assert done.returncode == 1
    assert "invalid_api_key" in done.stderr
    assert "Traceback" not in done.stderr


if __name__ == "__main__":
    run(dict(globals()))
