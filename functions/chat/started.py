"""A generation that the provider has accepted: what a surface has of it, stores of it and answers with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from chat import receipts
from chat.generation import Generation, Transcript
from chat.models import Model
from chatapi.errors import StoreFailed
from chatapi.logs import log_error

if TYPE_CHECKING:
    from chat.redaction.guard import Guard
    from chatapi.vault import SubjectHandle


class Answer(NamedTuple):
    """What goes back: status, headers of this answer, and the body in pieces."""

    headers: dict[str, str]
    body: Iterator[bytes]


class Started(NamedTuple):
    """A generation that the provider has accepted, and what a surface needs to answer with it.

    `handle` is the right to store, where it was asked for; `receipt` the headers that say what happens to the data;
    `expires` when what is stored ends (POSIX seconds), `ceiling` the seconds it may be kept at most, None for the
    policy's own term: whoever stores passes it on; `told` what else the receipt says. `guard`: redaction is demanded,
    and what is stored is sealed by it. `sampled`: what was said may be wanted as a sample.
    """

    model: Model
    now: float
    handle: SubjectHandle | None
    generation: Generation
    receipt: dict[str, str]
    expires: int | None = None
    ceiling: int | None = None
    told: tuple[receipts.Told, ...] = ()
    guard: Guard[Any] | None = None
    sampled: bool = False


Keep = Callable[[Started, Transcript], None]
"""Stores what was generated, once it is whole. Called only where storing was asked for."""


def kept(keep: Keep, started: Started, transcript: Transcript) -> None:
    """Store what was generated where that was asked for. StoreFailed where it could not be."""
    if started.handle is None:
        return
    try:
        keep(started, transcript)
    except Exception as error:  # noqa: BLE001 - whatever it was, the caller must learn that nothing was kept
        log_error("store_failed", error, function="chat", project=started.handle.project)
    else:
        return
    raise StoreFailed  # outside the handler: no cause travels along
