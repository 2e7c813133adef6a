"""Runs the shipped state machine in process: the part of Amazon States Language that it uses, nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any


def definition(name: str) -> dict[str, Any]:
    """A shipped state machine."""
    text = (Path(__file__).parents[3] / "statemachines" / f"{name}.asl.json").read_text()
    read: dict[str, Any] = json.loads(text)
    return read


ASL = definition("erasure")

Invoke = Callable[[dict[str, Any]], dict[str, Any]]


def execute(invoke: Invoke, project: str, request: str, **options: Any) -> list[str]:
    """Run an execution to its end; the names of the states that were entered. Options: see `walk`."""
    return list(walk(invoke, project, request, **options))


def walk(
    invoke: Invoke,
    project: str,
    request: str,
    *,
    attempts: int = 1,
    between: Callable[[str], object] = lambda state: None,
    machine: dict[str, Any] = ASL,
    given: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[str]:
    """Run an execution state by state: yields a state's name, then does it. `attempts` caps those of one task (1 is no
    retry); `between` is called before each state with its name; `given` is what else the input has."""
    state: dict[str, Any] = {"project": project, "request": request, **given}
    name = machine["StartAt"]
    while True:
        step = machine["States"][name]
        between(name)
        yield name
        match step["Type"]:
            case "Succeed" | "Fail":
                return
            case "Wait":
                assert _at(state, step["SecondsPath"]) >= 0
                name = step["Next"]
            case "Choice":
                (choice,) = step["Choices"]
                name = choice["Next"] if _at(state, choice["Variable"]) is choice["BooleanEquals"] else step["Default"]
            case "Task":
                name = _task(step, state, invoke, attempts)
                if name is None:
                    yield "(execution failed)"
                    return


def _task(step: dict[str, Any], state: dict[str, Any], invoke: Invoke, attempts: int) -> Any:
    payload = {
        key.removesuffix(".$"): _at(state, value) if key.endswith(".$") else value
        for key, value in step["Parameters"]["Payload"].items()
    }
    for attempt in range(min(attempts, 1 + step["Retry"][0]["MaxAttempts"])):
        try:
            result = {"Payload": json.loads(json.dumps(invoke(payload)))}
            break
        except Exception:
            if attempt == min(attempts, 1 + step["Retry"][0]["MaxAttempts"]) - 1:
                return step["Catch"][0]["Next"] if "Catch" in step else None
    if step["ResultPath"] is not None:
        chosen = {key.removesuffix(".$"): _at(result, value) for key, value in step["ResultSelector"].items()}
        state[step["ResultPath"].removeprefix("$.")] = chosen
    return step["Next"]


def _at(state: Any, path: str) -> Any:
    for part in path.removeprefix("$.").split("."):
        state = state[part]
    return state
