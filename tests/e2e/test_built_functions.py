"""Each built function needs its own code and its layers alone: MiniStack would lend it packages that AWS does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.local_stack import RunningStack
from tests.support.transformed import transformed

FUNCTIONS: dict[str, Any] = {
    name: resource["Properties"]
    for name, resource in transformed()["Resources"].items()
    if resource["Type"] == "AWS::Lambda::Function"
}
IMPORT_ALL = """
import importlib, json, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_built_function_imports_with_its_layers_alone(stack: RunningStack, name: str) -> None:
    function, build = FUNCTIONS[name], stack.place.home / "build" / "out"
    layers = [layer["Ref"] for layer in function["Layers"]]
    path = [build / name, *(build / layer.rstrip("0123456789abcdef") / "python" for layer in layers)]
    package = function["Handler"].partition(".")[0]
    done = subprocess.run(
        [sys._base_executable, "-S", "-c", IMPORT_ALL, package],  # type: ignore[attr-defined]
        env={"PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    if name in ("AuthorizerFunction", "ChatFunction"):
        assert not loaded & {"boto3", "botocore"}


@pytest.mark.parametrize("name", [*sorted(FUNCTIONS), "CoreLayer", "DepsLayer", "RuntimeLayer"])
def test_everything_that_is_built_ships_its_bytecode(stack: RunningStack, name: str) -> None:
    built = stack.place.home / "build" / "out" / name
    sources = [path for path in built.rglob("*.py") if "{{" not in path.name]
    compiled = {path.name.partition(".")[0] for path in built.rglob("*.pyc")}
    assert sources
    missing = [path.name for path in sources if path.stem not in compiled]
    assert len(missing) < len(sources) * 0.01, missing[:5]  # a few files of boto3's are templates, not Python
