"""`chatapi verify` on an export: the manifest's signature, and every file against it, offline."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from chatapi_cli.verify import verify_file
from tests.unit.privacy.test_export import asked, chat
from tests.unit.privacy.world import ALICE, World


@pytest.fixture
def export(tmp_path: Path) -> tuple[Path, str]:
    world = World()
    world.store(ALICE, chat("hello"))
    case = asked(world)
    world.export(case)
    path, jwks = tmp_path / "export.zip", tmp_path / "jwks.json"
    path.write_bytes(next(iter(world.uploads.done.values())))
    jwks.write_text(json.dumps({"keys": [world.signer.jwk()]}))
    return path, str(jwks)


def rewritten(path: Path, **changes: bytes | None) -> None:
    """The same archive with files replaced, added, or (None) left out."""
    with zipfile.ZipFile(path) as old:
        files = {name: old.read(name) for name in old.namelist()}
    files |= {name.replace("_", "."): data for name, data in changes.items()}  # type: ignore[arg-type]
    with zipfile.ZipFile(path, "w") as new:
        for name, data in files.items():
            if data is not None:
                new.writestr(name, data)


def test_an_export_as_it_came_holds(export: tuple[Path, str]) -> None:
    assert verify_file(*export) == []


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"chats_jsonl": b"{}"}, "a file is not what the manifest says"),
        ({"chats_jsonl": b"x" * 100_000}, "a file is not what the manifest says"),
        ({"chats_jsonl": None}, "the archive holds other files than its manifest names"),
        ({"more_html": b"<script>"}, "the archive holds other files than its manifest names"),
        ({"manifest_json": None}, "the archive has no manifest"),
        ({"manifest_json": b"{}"}, "not a manifest"),
        ({"manifest_json": b"[" * 5000}, "not a manifest"),
    ],
)
def test_an_export_that_was_changed_does_not(
    export: tuple[Path, str], changes: dict[str, bytes | None], finding: str
) -> None:
    rewritten(export[0], **changes)
    assert verify_file(*export) == [finding]


def test_another_signers_export_does_not(export: tuple[Path, str]) -> None:
    other = export[0].with_name("other.json")
    other.write_text(json.dumps({"keys": [World().signer.jwk()]}))
    assert verify_file(export[0], str(other)) == ["the signing key is not in the key set"]
    assert verify_file(export[0], str(other) + "x") == ["the key set cannot be read"]


def test_a_broken_archive_is_no_fault_of_ours(export: tuple[Path, str]) -> None:
    data = bytearray(export[0].read_bytes())
    data[60:200] = b"\0" * 140
    export[0].write_bytes(data)
    assert verify_file(*export) != []


@pytest.mark.parametrize(
    ("offset", "value"),
    [(8, 1), (10, 99), (16, 0xFF)],
    ids=["encrypted", "a compression that nobody knows", "another checksum"],
)
def test_an_archive_that_cannot_be_unpacked_is_said_so(export: tuple[Path, str], offset: int, value: int) -> None:
    # given an export whose directory claims of each file what no reader can follow (APPNOTE.TXT, 4.3.12)
    data = bytearray(export[0].read_bytes())
    at = -1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        data[at + offset] = value
    export[0].write_bytes(bytes(data))
    # then it is a finding, and no traceback
    assert verify_file(*export) == ["the archive cannot be read"]
