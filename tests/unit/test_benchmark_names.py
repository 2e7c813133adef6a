"""The figures of `make bench`: scripts read them by name, and a bar must not get lost. Nothing is measured here."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.figures import FIGURES, holds

BARS = {
    "chat.cpu_ms": 1.2,
    "chat.per_token_us": 30,
    "chat.stream_memory_kb": 64,
    "chat.calls.dynamodb": 3,
    "chat.calls.kms": 0,
    "chat.stored.calls.dynamodb": 6,
    "chat.stored.calls.kms": 0,
    "chat.first_token_added_ms": 10,
    "authorizer.vs_bare_update": 0.5,
    "authorizer.forged_key_us": 30,
    "authorizer.calls_per_request": 1,
    "authorizer.calls_with_leases": 0.15,
    "authorizer.calls_at_ten_times": 0.15,
    "authorizer.memory_mb": 40,
    "import.authorizer_vs_boto3": 0.35,
    "import.chat_vs_boto3": 0.65,
    "vault.pair_256": 2.5,
    "vault.pair_2k": 2.2,
    "vault.pair_64k": 1.4,
    "vault.history_50x2k": 2.0,
    "vault.overhead_bytes": 75,
    "rights.export_calls_per_1000": 10,
    "rights.export_peak_mb": 160,
    "rights.erasure_calls_per_1000": 100,
    "rights.erasure_peak_mb": 160,
}
INFORMATIVE = {
    "chat.vs_bare_calls",
    "chat.redaction_added_ms",
    "rights.records",
    "rights.export_seconds",
    "rights.export_per_second",
    "rights.erasure_seconds",
    "rights.erasure_per_second",
    "authorizer.cpu_ms",
    "import.authorizer_ms",
    "import.chat_ms",
    "import.privacy_ms",
    "vault.pair_256_prebuilt",
    "vault.pair_2k_prebuilt",
    "vault.pair_64k_prebuilt",
    "vault.history_50x2k_prebuilt",
}
DESIGNED = {
    "chat.cpu_ms",
    "chat.first_token_added_ms",
    "chat.per_token_us",
    "chat.calls.dynamodb",
    "chat.calls.kms",
    "authorizer.cpu_ms",
    "authorizer.vs_bare_update",
    "authorizer.forged_key_us",
    "authorizer.calls_per_request",
    "import.authorizer_vs_boto3",
    "import.chat_ms",
    "vault.pair_256",
    "vault.pair_2k",
    "vault.pair_64k",
    "vault.history_50x2k",
    "vault.overhead_bytes",
}
"""What scripts may rely on. Later figures come on top of these."""


def test_every_figure_that_scripts_rely_on_is_there() -> None:
    assert FIGURES.keys() >= DESIGNED


def test_every_figure_has_its_bar_or_is_informative() -> None:
    assert {name: figure.bar for name, figure in FIGURES.items() if figure.bar is not None} == BARS
    assert {name for name, figure in FIGURES.items() if figure.bar is None} == INFORMATIVE


@pytest.mark.parametrize(("value", "expected"), [(1.1, True), (1.2, True), (1.21, False)])
def test_a_bar_is_the_most_that_a_figure_may_be(value: float, expected: bool) -> None:
    assert holds("chat.cpu_ms", value) is expected


def test_an_informative_figure_neither_holds_nor_misses() -> None:
    assert holds("import.chat_ms", 1e9) is None


def test_the_documentation_explains_every_figure() -> None:
    text = (Path(__file__).parents[2] / "docs" / "performance.md").read_text(encoding="utf-8")
    assert [name for name in FIGURES if f"`{name}`" not in text] == []
