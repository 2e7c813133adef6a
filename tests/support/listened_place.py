"""A function of a test's in the place of a shipped one: the same built code, environment and role, and MiniStack starts
its processes too."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.settings import ROOT
from tests.e2e.local_stack import RunningStack


@contextmanager
def in_place_of(stack: RunningStack, machine: str, function: str, line: str) -> Iterator[None]:
    """For the time of the context, the state machine `machine` invokes the code of `function` as `line` (host:port)
    listens to it. Executions that began before go on as they began."""
    functions, states = stack.aws("lambda"), stack.aws("stepfunctions")
    shipped = functions.get_function_configuration(FunctionName=f"{stack.info.stack_name}-{function}")
    code = stack.place.home / "build" / "out" / f"{function.capitalize()}Function"
    variables = shipped["Environment"]["Variables"]
    layers = variables["_LAMBDA_LAYERS_DIRS"]  # see local/aws.py
    assert code.is_dir()
    listened = functions.create_function(
        FunctionName=shipped["FunctionName"] + "-listened",
        Runtime=shipped["Runtime"],
        Role=shipped["Role"],
        Handler="listened_function.handler",
        Timeout=shipped["Timeout"],
        MemorySize=shipped["MemorySize"],
        Code={"ZipFile": _zipped(ROOT / "tests" / "support" / "listened_function.py")},
        Environment={
            "Variables": {
                **variables,
                "LISTENED_LINE": line,
                "LISTENED_HANDLER": shipped["Handler"],
                "_LAMBDA_LAYERS_DIRS": os.pathsep.join((layers, str(code))),
            }
        },
    )["FunctionArn"]
    definition = states.describe_state_machine(stateMachineArn=machine)["definition"]
    changed = definition.replace(json.dumps(shipped["FunctionArn"]), json.dumps(listened))
    assert changed != definition
    states.update_state_machine(stateMachineArn=machine, definition=changed)
    try:
        yield
    finally:
        states.update_state_machine(stateMachineArn=machine, definition=definition)
        functions.delete_function(FunctionName=listened)


def _zipped(file: Path) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.write(file, file.name)
    return made.getvalue()
