"""Story: a sealed message opens under its own key, at its own place, unaltered; and in no other case."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given, settings
from hypothesis import strategies as st

from chatapi.vault import OVERHEAD, Context, InvalidCiphertext, SubjectKeyMaterial, lp, open_, seal
from chatapi.vault.format import Places, _seal, front, keyver_of
from tests.support.campaign import examples
from tests.unit.vault import independent

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "vault.json").read_text())
KEY = bytes(range(64))
MATERIAL = SubjectKeyMaterial(KEY)
HERE = Context("prj1", "records", "prj1#sub_a#1", "message#1", "body", 1)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
contexts = st.builds(Context, texts, texts, texts, texts, texts, st.integers(0, 2**40))
keyvers = st.integers(0, 65535)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_golden_vectors(vector: dict[str, str | int | list[str | int]]) -> None:
    key, plain, sealed = (bytes.fromhex(str(vector[name])) for name in ("subject_key", "plaintext", "sealed"))
    material, context, keyver = SubjectKeyMaterial(key), Context(*vector["context"]), int(str(vector["keyver"]))  # type: ignore[misc]
    header = front(keyver) + bytes.fromhex(str(vector["salt"]))

    assert lp(*context).hex() == vector["encoded_context"]
    assert _seal(material, header, Places.of(context), context.sk, plain) == sealed
    assert open_(material, keyver, context, sealed) == plain
    assert independent.decrypt(key, list(context), sealed) == plain


@given(st.binary(min_size=64, max_size=64), st.binary(max_size=300))
def test_derivation_equals_hkdf_expand(key: bytes, info: bytes) -> None:
    """RFC 5869, section 2.3, against cryptography's own implementation, over the whole info."""
    derived = SubjectKeyMaterial(key).digest(info + b"\x01")
    assert derived == HKDFExpand(hashes.SHA512(), 64, b"chatapi/msg/v1" + info).derive(key)


@given(contexts, st.binary(min_size=27, max_size=27))
def test_the_fast_encoding_equals_lp(context: Context, header: bytes) -> None:
    derived = MATERIAL.derive(header, Places.of(context), context.sk)
    assert derived == MATERIAL.digest(header + lp(*context) + b"\x01")


@pytest.mark.parametrize("size", [16383, 16384, 16385, 65536, 1 << 20])
def test_a_large_message_has_the_same_bytes_as_a_small_one_would(size: int) -> None:
    context, plain = Context("p", "records", "pk", "sk", "body", 1), os.urandom(size)
    sealed = seal(MATERIAL, 1, context, plain)
    assert type(sealed) is bytes
    assert len(sealed) == size + OVERHEAD
    assert independent.decrypt(KEY, list(context), sealed) == open_(MATERIAL, 1, context, sealed) == plain


@given(st.binary(max_size=20000), contexts, keyvers)
def test_round_trip_and_the_independent_reader_agree(plain: bytes, context: Context, keyver: int) -> None:
    sealed = seal(MATERIAL, keyver, context, plain)
    assert len(sealed) == len(plain) + OVERHEAD == len(plain) + 75
    assert keyver_of(sealed) == keyver
    assert open_(MATERIAL, keyver, context, sealed) == plain
    assert independent.decrypt(KEY, list(context), sealed) == plain
    assert sealed == independent.encrypt(KEY, keyver, list(context), sealed[3:27], plain)


@pytest.mark.parametrize("size", [0, 1, 16383 - 75, 16384 - 75, 16385, 400_000])
def test_sizes_around_the_copy_threshold(size: int) -> None:
    assert open_(MATERIAL, 1, HERE, seal(MATERIAL, 1, HERE, bytes(size))) == bytes(size)


@given(contexts, contexts)
def test_any_other_context_fails(there: Context, here: Context) -> None:
    sealed = seal(MATERIAL, 1, there, b"text")
    if there != here:
        with pytest.raises(InvalidCiphertext):
            open_(MATERIAL, 1, here, sealed)


@pytest.mark.parametrize(("name", "value"), [(name, 2 if name == "revision" else "other") for name in Context._fields])
def test_each_part_of_the_context_is_bound(name: str, value: str | int) -> None:
    sealed = seal(MATERIAL, 1, HERE, b"text")
    with pytest.raises(InvalidCiphertext):
        open_(MATERIAL, 1, HERE._replace(**{name: value}), sealed)  # type: ignore[arg-type]


def test_text_cannot_slide_between_neighbouring_parts() -> None:
    sealed = seal(MATERIAL, 1, HERE._replace(pk="ab", sk="c"), b"text")
    with pytest.raises(InvalidCiphertext):
        open_(MATERIAL, 1, HERE._replace(pk="a", sk="bc"), sealed)


def test_every_single_bit_matters() -> None:
    sealed = seal(MATERIAL, 1, HERE, b"sixteen bytes ..")
    for bit in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidCiphertext):
            open_(MATERIAL, 1, HERE, bytes(altered))


@settings(max_examples=examples(200))
@given(st.data())
def test_truncation_extension_and_garbage_fail(data: st.DataObject) -> None:
    sealed = seal(MATERIAL, 1, HERE, b"some plain text")
    forged = data.draw(
        st.one_of(
            st.integers(0, len(sealed) - 1).map(lambda end: sealed[:end]),
            st.binary(min_size=1, max_size=40).map(lambda tail: sealed + tail),
            st.binary(max_size=200),
            st.binary(max_size=200).map(lambda tail: sealed[:3] + tail),
        )
    )
    with pytest.raises(InvalidCiphertext):
        open_(MATERIAL, 1, HERE, forged)


def test_another_key_or_keyver_fails() -> None:
    sealed = seal(MATERIAL, 1, HERE, b"text")
    with pytest.raises(InvalidCiphertext):
        open_(SubjectKeyMaterial(bytes(64)), 1, HERE, sealed)
    with pytest.raises(InvalidCiphertext):
        open_(MATERIAL, 2, HERE, sealed)


def test_salts_differ_so_equal_texts_do_not_show() -> None:
    sealed = [seal(MATERIAL, 1, HERE, b"same") for _ in range(100)]
    assert len({message[3:27] for message in sealed}) == 100
    assert len({message[59:] for message in sealed}) == 100


@pytest.mark.parametrize("size", [0, 32, 63, 65, 128])
def test_a_subject_key_has_exactly_64_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="a subject key has 64 bytes"):
        SubjectKeyMaterial(bytes(size))


@pytest.mark.parametrize("keyver", [-1, 65536])
def test_a_keyver_has_two_bytes(keyver: int) -> None:
    with pytest.raises(OverflowError):
        seal(MATERIAL, keyver, HERE, b"")
