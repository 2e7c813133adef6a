"""Story: no plain text, key, context or user value gets into an exception, its causes, or a repr."""

from __future__ import annotations

import base64
import copy
import pickle
import traceback
from collections.abc import Callable, Iterator

import pytest

from chatapi.clock import FixedClock
from chatapi.vault import Context, SubjectKeyMaterial, Vault, lp, open_, project_pepper, seal, subject_id
from chatapi.vault.lp import decode
from chatapi.vault.memory import MemoryKeys, MemoryWraps

CANARY = "canary-7f3a"
BROKEN = CANARY + "\ud800"
KEY = CANARY.encode().ljust(64, b"k")
HERE = Context("prj", "records", CANARY, CANARY, CANARY, 1)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def shown(error: BaseException) -> str:
    """All that a logger could take from an error: its chain with causes, suppressed or not, and their arguments."""
    return "".join(
        str(link) + repr(link) + repr(link.args) + repr(vars(link) if hasattr(link, "__dict__") else "")
        for link in chain(error)
    ) + "".join(traceback.format_exception_only(error))


def handle_of(subject: str = "sub_a") -> Callable[[], object]:
    handle = Vault(MemoryWraps(), MemoryKeys(), FixedClock()).writer("prj", subject)
    sealed = handle.seal("records", "pk", "sk", "body", 1, CANARY.encode())
    return lambda: handle.open("records", "pk", CANARY, "body", 1, sealed)


def altered_tag() -> object:
    material = SubjectKeyMaterial(KEY)
    sealed = seal(material, 1, HERE, CANARY.encode())
    return open_(material, 1, HERE, sealed[:-1] + bytes((sealed[-1] ^ 1,)))


def unwrap_elsewhere() -> object:
    keys = MemoryKeys()
    _, wrapped, arn = keys.generate({"subject": CANARY})
    return keys.unwrap(wrapped, {"subject": "other"}, arn)


FAILURES: dict[str, Callable[[], object]] = {
    "another key": lambda: open_(
        SubjectKeyMaterial(bytes(64)), 1, HERE, seal(SubjectKeyMaterial(KEY), 1, HERE, CANARY.encode())
    ),
    "altered tag": altered_tag,
    "short": lambda: open_(SubjectKeyMaterial(KEY), 1, HERE, CANARY.encode()),
    "moved": handle_of(),
    "wrong key length": lambda: SubjectKeyMaterial(CANARY.encode()),
    "no Unicode in a user value": lambda: subject_id(project_pepper(bytes(32), "prj"), "user", BROKEN),
    "no Unicode in the row's key": lambda: seal(SubjectKeyMaterial(KEY), 1, HERE._replace(sk=BROKEN), b""),
    "no Unicode in the context": lambda: seal(SubjectKeyMaterial(KEY), 1, HERE._replace(pk=BROKEN), b""),
    "short pepper secret": lambda: project_pepper(CANARY.encode(), "prj"),
    "decode": lambda: decode(CANARY.encode()),
    "decode text": lambda: decode(b"s12:" + CANARY.encode() + b"\xff"),
    "lp type": lambda: lp([CANARY]),  # type: ignore[arg-type]
    "unwrap": unwrap_elsewhere,
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures_say_nothing(name: str) -> None:
    with pytest.raises(Exception) as caught:
        FAILURES[name]()
    text = shown(caught.value)
    assert CANARY not in text
    assert KEY.hex() not in text
    assert base64.b64encode(KEY).decode() not in text


def test_the_check_itself_can_fail() -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        BROKEN.encode()
    assert CANARY in shown(caught.value)


def test_reprs_show_no_key_no_wrap_no_subject() -> None:
    wraps, keys = MemoryWraps(), MemoryKeys()
    vault = Vault(wraps, keys, FixedClock())
    handle = vault.writer("prj", CANARY)
    item = wraps.items["prj", CANARY]
    assert CANARY not in repr(handle) + str(handle) + repr(vault) + repr(SubjectKeyMaterial(KEY))
    assert item.wraps[1].hex() not in repr(item)
    assert repr(item.wraps[1]) not in repr(item)


def test_a_subject_key_cannot_be_written_down_by_accident() -> None:
    material = SubjectKeyMaterial(KEY)
    for write in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            write(material)
