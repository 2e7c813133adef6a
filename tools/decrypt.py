#!/usr/bin/env python3
"""Open stored rows without the product: one file, written from docs/vault.md alone, for auditors and for the tests.

It needs Python 3.9 or later and `cryptography`, and shares no code with ChatAPI. It makes no network call.

    # 1. The wrapped key: the subject's item of the Vault table. This prints the call that has KMS unwrap it.
    aws dynamodb get-item --table-name VAULT --key '{"pk": {"S": "v#PROJECT#SUBJECT"}}' > item.json
    python tools/decrypt.py unwrap item.json
    # 2. That call's output is the subject key, 64 bytes in base64.
    aws kms decrypt … --query Plaintext --output text > key.b64
    # 3. Rows of that subject and generation, as get-item, query or scan print them.
    aws dynamodb query --table-name RECORDS --key-condition-expression 'pk = :pk' \\
        --expression-attribute-values '{":pk": {"S": "s#PROJECT#SUBJECT#1"}}' > rows.json
    python tools/decrypt.py open --key key.b64 rows.json

`open` prints one JSON object a record: its key, and `text` (or `base64` where it is no UTF-8), or `"opens": false`.
Exit code 0 if every record opened, 1 if one did not: after an erasure that is what an auditor wants to see. `--keyver`
names the version of the key, 1 where not given; records of other versions do not open with it.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hmac
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand


class DoesNotOpen(Exception):
    """The message does not open with this key at this place."""


def encode(context: list[str | int]) -> bytes:
    """Each part: a letter for its type, the payload's length in decimal, a colon, the payload."""
    encoded = bytearray()
    for part in context:
        payload = part.encode("utf-8") if isinstance(part, str) else str(part).encode("ascii")
        encoded += (b"s" if isinstance(part, str) else b"i") + str(len(payload)).encode("ascii") + b":" + payload
    return bytes(encoded)


def derive(subject_key: bytes, header: bytes, context: list[str | int]) -> tuple[bytes, bytes]:
    """Message key and commitment."""
    info = b"chatapi/msg/v1" + header + encode(context)
    okm = HKDFExpand(hashes.SHA512(), 64, info).derive(subject_key)
    return okm[0:32], okm[32:64]


def decrypt(subject_key: bytes, keyver: int, context: list[str | int], sealed: bytes) -> bytes:
    """The plain text of a sealed message; DoesNotOpen otherwise.

    `context`: tenant, table, pk, sk, attribute, revision.
    """
    if len(sealed) < 75 or sealed[0] != 1 or int.from_bytes(sealed[1:3], "big") != keyver:
        raise DoesNotOpen
    header, commitment, rest = sealed[0:27], sealed[27:59], sealed[59:]
    key, expected = derive(subject_key, header, context)
    if not hmac.compare_digest(commitment, expected):
        raise DoesNotOpen
    try:
        return AESGCM(key).decrypt(bytes(12), rest, header)
    except InvalidTag:
        raise DoesNotOpen from None


def plain(value: dict[str, Any]) -> Any:
    """A value of DynamoDB's JSON."""
    ((tag, inner),) = value.items()
    if tag == "N":
        return int(inner)
    if tag == "B":
        return base64.b64decode(inner)
    if tag == "M":
        return {name: plain(one) for name, one in inner.items()}
    return [plain(one) for one in inner] if tag == "L" else inner


def rows(text: str) -> list[dict[str, Any]]:
    """The items of what `aws dynamodb get-item`, `query` or `scan` printed."""
    document = json.loads(text or "{}")
    found = document["Items"] if "Items" in document else [document["Item"]] if "Item" in document else []
    return [{name: plain(value) for name, value in item.items()} for item in found]


def records(items: list[dict[str, Any]]) -> dict[tuple[str, str], list[tuple[dict[str, Any], str]]]:
    """The rows of each record in order, each with the attribute that it is bound to (docs/vault.md, "Places")."""
    sealed = {(row["pk"], row["sk"]): row for row in items if isinstance(row.get("body"), bytes)}
    found: dict[tuple[str, str], list[tuple[dict[str, Any], str]]] = {}
    for (pk, sk), row in sorted(sealed.items()):
        if row["kind"] == "held":
            name = sk.rpartition("#")[0]
            parts = [sealed[key] for key in sorted(sealed) if key[0] == pk and key[1].rpartition("#")[0] == name]
            found[pk, name] = [(part, f"body:{index}/{len(parts)}") for index, part in enumerate(parts)]
        elif "chunks" in row:
            count, write = row["chunks"], row.get("write", "")
            rest = [sealed.get((pk, f"{sk}#{write}#{index:04d}")) for index in range(1, count)]
            end = f":{write}" if count > 1 else ""
            found[pk, sk] = [(part or {}, f"body:{index}/{count}{end}") for index, part in enumerate([row, *rest])]
    return found


def open_rows(subject_key: bytes, keyver: int, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line for each record among the rows."""
    lines = []
    for (pk, name), parts in records(items).items():
        line: dict[str, Any] = {"pk": pk, "record": name, "opens": True}
        try:
            body = b"".join(
                decrypt(
                    subject_key,
                    keyver,
                    [pk.split("#")[1], "records", pk, row["sk"], attribute, row.get("rev", 1)],
                    row["body"],
                )
                for row, attribute in parts
            )
            line["text"] = body.decode("utf-8")
        except (DoesNotOpen, KeyError):
            line["opens"] = False
        except UnicodeDecodeError:
            line["base64"] = base64.b64encode(body).decode("ascii")
        lines.append(line)
    return lines


def unwrap_commands(item: dict[str, Any]) -> list[str]:
    """For each version of the key in a Vault item, the call of the AWS CLI that has KMS unwrap it."""
    _, tenant, subject = item["pk"].split("#")
    context = {"tenant": tenant, "subject": subject, "generation": str(item["g"]), "purpose": "subject-key"}
    return [
        f"echo {shlex.quote(base64.b64encode(wrapped).decode('ascii'))} | base64 -d > wrap-{keyver}.bin && "
        f"aws kms decrypt --key-id {shlex.quote(item['arn'])} --ciphertext-blob fileb://wrap-{keyver}.bin"
        f" --encryption-context {shlex.quote(json.dumps(context))} --query Plaintext --output text"
        for keyver, wrapped in sorted(item["w"].items())
    ]


def read_key(text: str) -> bytes:
    """64 bytes in base64 or hex."""
    word = text.strip()
    try:
        key = bytes.fromhex(word) if len(word) == 128 else base64.b64decode(word, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != 64:
        raise SystemExit("the subject key is 64 bytes, in base64 or hex")
    return key


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    unwrapping = commands.add_parser("unwrap", help="print the KMS call for a Vault item")
    unwrapping.add_argument("item", type=Path)
    opening = commands.add_parser("open", help="open rows with a subject key")
    opening.add_argument("--key", type=Path, required=True, help="file with the 64 bytes in base64 or hex; - is stdin")
    opening.add_argument("--keyver", type=int, default=1)
    opening.add_argument("rows", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "unwrap":
        items = rows(arguments.item.read_text(encoding="utf-8"))
        commands_found = [line for item in items for line in unwrap_commands(item)]
        print("\n".join(commands_found) or "no wrapped key in this item: the subject was erased, or never was")
        return 0 if commands_found else 1
    key = read_key(sys.stdin.read() if str(arguments.key) == "-" else arguments.key.read_text(encoding="utf-8"))
    lines = open_rows(key, arguments.keyver, rows(arguments.rows.read_text(encoding="utf-8")))
    for line in lines:
        print(json.dumps(line))
    return 0 if all(line["opens"] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
