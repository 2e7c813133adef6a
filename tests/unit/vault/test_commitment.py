"""Story: one AES-GCM ciphertext can be made to open under two keys (Grubbs, Lu and Ristenpart, CRYPTO 2017; Albertini
and others, USENIX Security 2022). The attack is carried out here, and the format refuses what comes out of it."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chatapi.vault import Context, InvalidCiphertext, SubjectKeyMaterial, open_
from chatapi.vault.format import front
from tests.unit.vault import independent

NONCE = bytes(12)
HERE = Context("prj1", "records", "prj1#sub_a#1", "message#1", "body", 1)
R = 0xE1 << 120


def multiply(left: int, right: int) -> int:
    """In GF(2^128) as GCM has it (NIST SP 800-38D, section 6.3): bit 0 is the leftmost."""
    product = 0
    for bit in range(127, -1, -1):
        if left >> bit & 1:
            product ^= right
        right = right >> 1 ^ (R if right & 1 else 0)
    return product


def invert(value: int) -> int:
    """value ^ (2^128 - 2)."""
    result, square = 1 << 127, value
    for _ in range(127):
        square = multiply(square, square)
        result = multiply(result, square)
    return result


def aes(key: bytes, block: bytes) -> int:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return int.from_bytes(encryptor.update(block) + encryptor.finalize(), "big")


def double_opening(first: bytes, second: bytes, associated: bytes) -> bytes:
    """Ciphertext and tag, two blocks of ciphertext, that AES-GCM opens under both keys.

    The tag is linear in the blocks: with H = E(k, 0), S = E(k, nonce | 1), A the padded associated data of two blocks
    and L the length block, tag = A1·H^5 + A2·H^4 + C1·H^3 + C2·H^2 + L·H + S.
    Fix C1, set both tags equal, solve for C2.
    """
    padded = associated.ljust(32, b"\0")
    lengths = (len(associated) * 8) << 64 | 32 * 8
    chosen = os.urandom(16)
    sums, squares = [], []
    for key in (first, second):
        h = aes(key, bytes(16))
        powers = [h]
        for _ in range(4):
            powers.append(multiply(powers[-1], h))
        terms = (int.from_bytes(padded[:16], "big"), int.from_bytes(padded[16:], "big"), int.from_bytes(chosen, "big"))
        total = multiply(lengths, powers[0]) ^ aes(key, NONCE + b"\0\0\0\1")
        for term, power in zip(terms, (powers[4], powers[3], powers[2]), strict=True):
            total ^= multiply(term, power)
        sums.append(total)
        squares.append(powers[1])
    free = multiply(sums[0] ^ sums[1], invert(squares[0] ^ squares[1]))
    tag = sums[0] ^ multiply(free, squares[0])
    return chosen + free.to_bytes(16, "big") + tag.to_bytes(16, "big")


def test_raw_aes_gcm_opens_one_ciphertext_under_two_keys_and_the_format_does_not() -> None:
    # Given two subjects' keys and the message keys that this header and place have under each of them
    keys = [os.urandom(64), os.urandom(64)]
    header = front(1) + os.urandom(24)
    (first, commitment), (second, other) = (independent.derive(key, header, list(HERE)) for key in keys)

    # When one ciphertext is built for both
    forged = double_opening(first, second, header)

    # Then AES-GCM alone accepts it under both, with different plain texts: the attack is real
    plain = [AESGCM(key).decrypt(NONCE, forged, header) for key in (first, second)]
    assert plain[0] != plain[1]

    # And in the format it opens under at most the one key that its commitment names, whichever the forger writes
    assert commitment != other
    readers = [SubjectKeyMaterial(key) for key in keys]
    assert open_(readers[0], 1, HERE, header + commitment + forged) == plain[0]
    with pytest.raises(InvalidCiphertext):
        open_(readers[1], 1, HERE, header + commitment + forged)
    assert open_(readers[1], 1, HERE, header + other + forged) == plain[1]
    with pytest.raises(InvalidCiphertext):
        open_(readers[0], 1, HERE, header + other + forged)


def test_the_commitment_is_compared_before_any_aes_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    class Untouchable:
        def __init__(self, key: bytes) -> None:
            raise AssertionError("AES was reached")

    # Given a message of another place, whose tag would fail as well
    sealed = independent.encrypt(bytes(64), 1, ["prj1", "records", "pk", "sk", "body", 1], bytes(24), b"text")
    # When AES cannot be used, then the refusal is still the opaque one
    monkeypatch.setattr("chatapi.vault.format.AESGCM", Untouchable)
    with pytest.raises(InvalidCiphertext):
        open_(SubjectKeyMaterial(bytes(64)), 1, HERE, sealed)
