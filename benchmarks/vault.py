"""What the vault costs beside raw AES-256-GCM, in the same run on the same machine.

"Raw" is the bare call: a fixed 256-bit key, `AESGCM(key)` and one `encrypt` or `decrypt`, with a random nonce where
something is encrypted. Nothing is added to it: no storing of the nonce, no copy, no helper function. The vault is
measured as a request uses it, through a warm `SubjectHandle`, clock checks and context encoding included. The
`…_prebuilt` figures set the same work beside one AESGCM object that is built once and reused for all messages, which no
scheme with a key per message can do: they say what a key per message costs, and have no bar.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chatapi.clock import SystemClock
from chatapi.vault import SubjectHandle, Vault
from chatapi.vault.memory import MemoryKeys, MemoryWraps

BARS = {
    "vault.pair_256": 2.5,
    "vault.pair_2k": 2.2,
    "vault.pair_64k": 1.4,
    "vault.history_50x2k": 2.0,
    "vault.overhead_bytes": 75,
}
"""At most."""

_ROUNDS = 25
_PK = "Ab3dEf7h#sub_mzxw6ytboi2dgnbvmzxw6ytboi2dgnbv#1"
_SK = "message#01K0A1B2C3D4E5F6G7H8J9#"


def measure() -> dict[str, float]:
    """The figures of `BARS` and their `…_prebuilt` companions: ratios of medians of interleaved rounds."""
    pin = _steady_heap()
    handle = Vault(MemoryWraps(), MemoryKeys(), SystemClock()).writer(
        "Ab3dEf7h", "sub_mzxw6ytboi2dgnbvmzxw6ytboi2dgnbv"
    )
    figures: dict[str, float] = {}
    for name, size, calls in (("pair_256", 256, 1000), ("pair_2k", 2048, 800), ("pair_64k", 65536, 150)):
        figures |= _pair(handle, f"vault.{name}", os.urandom(size), calls)
    figures |= _history(handle)
    figures["vault.overhead_bytes"] = len(handle.seal("records", _PK, "message#1", "body", 1, b""))
    del pin
    return figures


def _steady_heap() -> bytearray:
    """Two free megabytes that lie below a block in use: keep the result while measuring.

    Otherwise 64 KiB buffers may lie at the heap's end, where malloc gives them back to the system and faults them in
    again on every call. Whom that hits is chance: it made raw AES-GCM three times slower here, and the vault not.
    """
    filler = [bytearray(100_000) for _ in range(20)]
    pin = bytearray(4096)
    del filler
    return pin


def _pair(handle: SubjectHandle, name: str, data: bytes, calls: int) -> dict[str, float]:
    key, prebuilt = os.urandom(32), AESGCM(os.urandom(32))

    def vault() -> None:
        sealed = handle.seal("records", _PK, _SK, "body", 3, data)
        handle.open("records", _PK, _SK, "body", 3, sealed)

    def raw() -> None:
        nonce = os.urandom(12)
        sealed = AESGCM(key).encrypt(nonce, data, b"row")
        AESGCM(key).decrypt(nonce, sealed, b"row")

    def reused() -> None:
        nonce = os.urandom(12)
        sealed = prebuilt.encrypt(nonce, data, b"row")
        prebuilt.decrypt(nonce, sealed, b"row")

    return _ratios(name, vault, raw, reused, calls)


def _history(handle: SubjectHandle) -> dict[str, float]:
    key, prebuilt, data = os.urandom(32), AESGCM(os.urandom(32)), os.urandom(2048)
    rows = [(f"{_SK}{number:04}", 1) for number in range(50)]
    sealed = [(sk, revision, handle.seal("records", _PK, sk, "body", revision, data)) for sk, revision in rows]
    nonces = [os.urandom(12) for _ in rows]
    plain = [(nonce, AESGCM(key).encrypt(nonce, data, b"row")) for nonce in nonces]
    plain_reused = [(nonce, prebuilt.encrypt(nonce, data, b"row")) for nonce in nonces]

    def vault() -> None:
        handle.open_all("records", _PK, "body", sealed)

    def raw() -> None:
        _ = [AESGCM(key).decrypt(nonce, blob, b"row") for nonce, blob in plain]

    def reused() -> None:
        _ = [prebuilt.decrypt(nonce, blob, b"row") for nonce, blob in plain_reused]

    return _ratios("vault.history_50x2k", vault, raw, reused, 20)


def _ratios(
    name: str, vault: Callable[[], None], raw: Callable[[], None], reused: Callable[[], None], calls: int
) -> dict[str, float]:
    seconds: list[list[float]] = [[], [], []]
    for _ in range(_ROUNDS):
        for spent, work in zip(seconds, (vault, raw, reused), strict=True):
            spent.append(_time(work, calls))
    ours, theirs, least = (statistics.median(spent) for spent in seconds)
    return {name: ours / theirs, f"{name}_prebuilt": ours / least}


def _time(work: Callable[[], None], calls: int) -> float:
    started = time.process_time()
    for _ in range(calls):
        work()
    return time.process_time() - started


if __name__ == "__main__":
    for figure, value in measure().items():
        bar = f"  (at most {BARS[figure]})" if figure in BARS else ""
        print(f"{figure:34} {value:7.2f}{bar}")
