"""Every figure of `make bench`: what it says, and the bar it is held to."""

from __future__ import annotations

import os
from typing import NamedTuple

from benchmarks import vault

RECORDS = int(os.environ.get("RECORDS") or 5_000)
"""How many messages the large data subject has stored; the figures of docs/performance.md are of 50,000."""


class Figure(NamedTuple):
    """What a figure says. `bar` is the most that it may be; None marks one that informs only.

    A millisecond differs from machine to machine, so the tight bars are ratios to something that runs beside it.
    """

    text: str
    bar: float | None = None


def _vault(text: str, name: str) -> dict[str, Figure]:
    return {
        name: Figure(f"{text}, to raw AES-GCM", vault.BARS[name]),
        f"{name}_prebuilt": Figure(f"{text}, to one AESGCM object reused"),
    }


def _rights(name: str, calls: float) -> dict[str, Figure]:
    return {
        f"rights.{name}_seconds": Figure(f"an {name} of all of them, its tasks together"),
        f"rights.{name}_per_second": Figure("messages a second"),
        f"rights.{name}_calls_per_1000": Figure("calls of DynamoDB and KMS for 1,000 messages", calls),
        f"rights.{name}_peak_mb": Figure(f"largest size of the process that ran the {name}, MB", 160),
    }


FIGURES: dict[str, Figure] = {
    "chat.cpu_ms": Figure("CPU of an unstored chat of 20 tokens: authorizer and chat function", 1.2),
    "chat.vs_bare_calls": Figure("the same, to its four calls in plain Python with nothing around them"),
    "chat.per_token_us": Figure("CPU of one more streamed token", 30),
    "chat.redaction_added_ms": Figure("CPU that redaction adds to a chat with a prompt of 2,000 characters"),
    "chat.stream_memory_kb": Figure("memory of a stream of 8,000 tokens beyond one of 800, unstored", 64),
    "chat.calls.dynamodb": Figure("DynamoDB calls of an unstored chat, warm", 3),
    "chat.calls.kms": Figure("KMS calls of an unstored chat, warm", 0),
    "chat.stored.calls.dynamodb": Figure("DynamoDB calls of a stored chat, warm", 6),
    "chat.stored.calls.kms": Figure("KMS calls of a stored chat, warm", 0),
    "chat.first_token_added_ms": Figure("time to the first token beyond the provider's own, through the edge", 10),
    "authorizer.cpu_ms": Figure("CPU of a decision"),
    "authorizer.vs_bare_update": Figure("the same, to boto3's UpdateItem alone", 0.5),
    "authorizer.forged_key_us": Figure("CPU of refusing a forged key, without any call", 30),
    "authorizer.calls_per_request": Figure("AWS calls of a decision, warm", 1),
    "authorizer.calls_with_leases": Figure("the same, with leases of eight, busy", 0.15),
    "authorizer.calls_at_ten_times": Figure("the same, at ten times the requests a minute that are allowed", 0.15),
    "authorizer.memory_mb": Figure("peak resident memory of a warm authorizer", 40),
    "import.authorizer_vs_boto3": Figure("CPU of a fresh authorizer with its clients, to boto3 with one client", 0.35),
    "import.chat_vs_boto3": Figure("CPU of a fresh chat function with its clients, to the same", 0.65),
    "import.authorizer_ms": Figure("CPU of a fresh process: the authorizer, clients made"),
    "import.chat_ms": Figure("CPU of a fresh process: the chat function, clients made"),
    "import.privacy_ms": Figure("CPU of a fresh process: the privacy function, clients made"),
    **_vault("seal and open 256 bytes", "vault.pair_256"),
    **_vault("seal and open 2 KiB", "vault.pair_2k"),
    **_vault("seal and open 64 KiB", "vault.pair_64k"),
    **_vault("open a history of 50 messages of 2 KiB", "vault.history_50x2k"),
    "vault.overhead_bytes": Figure("bytes that sealing adds", vault.BARS["vault.overhead_bytes"]),
    "rights.records": Figure("stored messages of one data subject, on the local stack"),
    **_rights("export", 10),
    **_rights("erasure", 100),
}


def holds(name: str, value: float) -> bool | None:
    """Whether a figure keeps its bar; None where it has none."""
    bar = FIGURES[name].bar
    return None if bar is None else value <= bar
