"""The runtime layer as ``sam build`` makes it: complete, byte-compiled, in need of the standard library alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNTIME = f"RUNTIME=python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    artifacts = tmp_path_factory.mktemp("layer")
    command = ["make", "build-RuntimeLayer", f"ARTIFACTS_DIR={artifacts}", f"PYTHON={sys.executable}", RUNTIME]
    subprocess.run(command, cwd=ROOT / "layers/runtime", check=True, capture_output=True)
    return artifacts


def test_the_layer_holds_the_package_with_bytecode_and_the_script(layer: Path) -> None:
    sources = sorted(path.name for path in (ROOT / "layers/runtime/chatapi_runtime").glob("*.py"))
    built = layer / "python/chatapi_runtime"

    assert sorted(path.name for path in built.glob("*.py")) == sources
    compiled = sorted(path.name.split(".")[0] + ".py" for path in (built / "__pycache__").glob("*.pyc"))
    assert compiled == sources
    # PEP 552: flags 0b01 = hash-based and never checked against the source
    assert {path.read_bytes()[4:8] for path in built.rglob("*.pyc")} == {b"\x01\0\0\0"}
    assert (layer / "bin/streaming-runtime").stat().st_mode & 0o111 == 0o111


def test_the_loop_imports_the_standard_library_alone(layer: Path) -> None:
    script = "import sys, json, chatapi_runtime.loop; print(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-S", "-c", script]
    done = subprocess.run(command, env={"PYTHONPATH": str(layer / "python")}, check=True, capture_output=True)

    roots = {name.partition(".")[0] for name in json.loads(done.stdout)}
    foreign = roots - set(sys.stdlib_module_names) - {"__main__", "chatapi_runtime"}
    assert not {name for name in foreign if not name.startswith("_")}
