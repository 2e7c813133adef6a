"""Story: an auditor opens rows with one file and a key, and sees that after an erasure nothing opens."""

from __future__ import annotations

import ast
import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chatapi.aws.av import to_item
from chatapi.store.sealed import CHUNK_BYTES
from chatapi.vault import key_context
from tests.support.chat_world import PROJECT, World
from tests.unit.vault.independent import FILE


def dump(path: Path, items: list[dict[str, Any]]) -> Path:
    """As `aws dynamodb query` prints them."""
    path.write_text(json.dumps({"Items": [to_item(item) for item in items]}))
    return path


def run(*words: str | Path, stdin: str = "") -> tuple[int, list[Any], str]:
    done = subprocess.run(
        [sys.executable, "-I", FILE, *words], input=stdin, capture_output=True, text=True, check=False, timeout=60
    )
    lines = done.stdout.splitlines()
    return done.returncode, [json.loads(line) if line.startswith("{") else line for line in lines], done.stderr


@pytest.fixture
def world() -> World:
    world = World()
    handle = world.records.writer(PROJECT, "sub_a")
    world.completions.save(handle, "chatcmpl-1", b"hello")
    world.completions.save(handle, "chatcmpl-2", b"x" * (CHUNK_BYTES + 1))
    world.records.put(handle, "conversation", [("conv_1", b"y" * (2 * CHUNK_BYTES)), ("conv_2", b"\xff")])
    world.records.update(handle, world.records.get(handle, "conversation", "conv_2"), "grüße".encode())
    return world


def subject_key(world: World) -> bytes:
    item = world.wraps.items[PROJECT, "sub_a"]
    return world.keys.unwrap(item.wraps[1], key_context(PROJECT, "sub_a", 1), item.key_arn)


def sealed_rows(world: World) -> list[dict[str, Any]]:
    return [row for row in world.rows.rows.values() if "body" in row]


def test_it_shares_no_code_with_the_product() -> None:
    tree = ast.parse(FILE.read_text())
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= {*sys.stdlib_module_names, "cryptography"}


@pytest.mark.parametrize("form", ["base64", "hex"])
def test_records_of_every_shape_open_with_the_raw_key(world: World, tmp_path: Path, form: str) -> None:
    key = subject_key(world)
    text = key.hex() if form == "hex" else base64.b64encode(key).decode()
    code, lines, _ = run("open", "--key", "-", dump(tmp_path / "rows.json", sealed_rows(world)), stdin=text)
    assert code == 0
    assert {line["record"]: len(line["text"]) for line in lines} == {
        "completion#chatcmpl-1": 5,
        "completion#chatcmpl-2": CHUNK_BYTES + 1,
        "conversation#conv_1": 2 * CHUNK_BYTES,
        "conversation#conv_2": 5,
    }


def test_moved_altered_and_incomplete_records_do_not_open(world: World, tmp_path: Path) -> None:
    rows = [dict(row) for row in sealed_rows(world)]
    for row in rows:
        if row["sk"] == "completion#chatcmpl-1":
            row["sk"] = "completion#chatcmpl-9"
        elif row["sk"] == "conversation#conv_2":
            row["rev"] = 1
    rows = [row for row in rows if "#0001" not in row["sk"]]
    key = base64.b64encode(subject_key(world)).decode()
    code, lines, _ = run("open", "--key", "-", dump(tmp_path / "rows.json", rows), stdin=key)
    assert code == 1
    assert [line["opens"] for line in lines] == [False] * 4


def test_without_the_key_nothing_opens_and_an_erased_item_has_none(world: World, tmp_path: Path) -> None:
    rows = dump(tmp_path / "rows.json", sealed_rows(world))
    code, lines, _ = run("open", "--key", "-", rows, stdin=os.urandom(64).hex())
    assert (code, {line["opens"] for line in lines}) == (1, {False})
    assert run("open", "--key", "-", rows, stdin="short")[0] == 1
    erased = {"pk": f"v#{PROJECT}#sub_a", "g": 1, "st": "erased", "w": {}, "arn": "arn:aws:kms:x"}
    code, lines, _ = run("unwrap", dump(tmp_path / "item.json", [erased]))
    assert (code, lines[0][:14]) == (1, "no wrapped key")
    alive = {**erased, "w": {"1": b"wrap"}}
    code, lines, _ = run("unwrap", dump(tmp_path / "item.json", [alive]))
    assert code == 0
    assert '"purpose": "subject-key"' in lines[0]
    assert base64.b64encode(b"wrap").decode() in lines[0]
