"""The HTTP/1.1 reader: however the bytes are cut the response is the same, and what is malformed is refused."""

from __future__ import annotations

import contextlib
import socket
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatapi.aws.http1 import Malformed, Reading
from tests.support.campaign import examples

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


class Pieces:
    """A socket that gives its pieces one by one, and then the end."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def recv(self, size: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def read(*pieces: bytes) -> tuple[int, dict[str, str], bytes, bool]:
    reading = Reading(Pieces(*pieces))  # type: ignore[arg-type]
    body = b""
    while data := reading.more():
        body += data
    return reading.status, reading.headers, body, reading.keeps


@st.composite
def responses(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """(the bytes on the wire, the body in them)."""
    parts = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
    body = b"".join(parts)
    if draw(st.booleans()):
        return OK + b"Content-Length: %d\r\n\r\n" % len(body) + body, body
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    trailer = draw(st.sampled_from([b"", b"x: y\r\n"]))
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n" + trailer + b"\r\n", body


@given(responses(), st.lists(st.integers(1, 200)))
@settings(max_examples=examples(300))
def test_the_cuts_do_not_matter(response: tuple[bytes, bytes], cuts: list[int]) -> None:
    wire, body = response
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(wire[at : at + cut])
        at += cut
    status, _, found, keeps = read(*pieces, wire[at:])
    assert (status, found, keeps) == (200, body, True)


@given(responses(), st.data())
@settings(max_examples=examples(300))
def test_a_response_that_is_cut_short_is_never_a_whole_one(response: tuple[bytes, bytes], data: st.DataObject) -> None:
    wire, _ = response
    end = data.draw(st.integers(1, len(wire) - 1))
    with pytest.raises(Malformed):
        read(wire[:end])


@st.composite
def nearly_chunked(draw: st.DrawFn) -> bytes:
    """A chunked body with what the grammar permits, and often one thing that it does not."""
    body = b""
    for data in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=4)):
        size = draw(st.sampled_from([b"%x", b"%X", b"0%x", b"%x;a=b", b'%x ; a="b \xe9"'])) % len(data)
        body += size + b"\r\n" + data + b"\r\n"
    body += draw(st.sampled_from([b"0\r\n\r\n", b"0\r\na: b\r\n\r\n", b"00\r\n\r\n"]))
    for _ in range(draw(st.integers(0, 1))):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=2)) + body[at + draw(st.integers(0, 2)) :]
    return body


@given(nearly_chunked(), st.lists(st.integers(1, 12), max_size=12))
@example(b"1\n\r\n\x00\r\n0\r\n\r\n", [])
@settings(max_examples=examples(300))
def test_what_is_accepted_is_what_another_parser_reads(body: bytes, cuts: list[int]) -> None:
    wire, pieces, at = CHUNKED + body, [], 0
    for cut in cuts:
        pieces.append(wire[at : at + cut])
        at += cut
    try:
        found = read(*pieces, wire[at:])[2]
    except Malformed:
        return
    assert found == read_by_the_library(wire)


def read_by_the_library(wire: bytes) -> bytes | None:
    class Connection:
        def makefile(self, *_: Any) -> BytesIO:
            return BytesIO(wire)

    response = HTTPResponse(Connection())  # type: ignore[arg-type]
    try:
        response.begin()
        return response.read()
    except HTTPException:
        return None


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=examples(500))
def test_any_bytes_are_read_or_refused(noise: bytes, framed: bool) -> None:
    with contextlib.suppress(Malformed, ConnectionResetError):  # anything else fails the test
        read((CHUNKED if framed else b"") + noise)


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
        OK + b"content-length: +1\r\n\r\na",
        OK + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"1\r\nab\r\n0\r\n\r\n",
        CHUNKED + b"0\r\nnot a trailer\r\n\r\n",
        CHUNKED + b"0\r\na: b\nc: d\r\n\r\n",
        OK + b"x y\r\n\r\n",
        OK + b"x: 1\r\n folded\r\n\r\n",
        OK + b"x : 1\r\n\r\n",
        OK + b"x\xe9: 1\r\n\r\n",
        OK + b"x: 1\ny: 2\r\n\r\n",
        OK + b"x: 1\ry: 2\r\n\r\n",
        OK + b"x: \x00\r\n\r\n",
        b"HTTP/1.1 200 OK\nx: 1\r\n\r\n",
        OK + b"content-length: 1\r\n\r\nab",
        OK + b"x: " + b"y" * 70_000,
    ],
)
def test_what_is_malformed_is_refused(wire: bytes) -> None:
    with pytest.raises(Malformed):
        read(wire)


NOT_A_LENGTH = [
    b"",
    b"+%b",
    b"-%b",
    b"0x%b",
    b"%b_0",
    b"%b.0",
    b"%b,%b",
    b"\n%b",
    b"%b\n",
    b"\x0b%b",
    b"%b\x0c",
    b"%b\r",
]
NOT_A_LENGTH += [b"%b\x85", b"%b\xa0", b"%b\xb2", "%b\u0661".encode(), b"%b 0", b"0" * 16 + b"%b"]


@pytest.mark.parametrize("text", [*NOT_A_LENGTH, b"a"])
def test_a_length_is_digits_and_nothing_else(text: bytes) -> None:
    # Given a body of as many bytes as a lenient reader would take the text for: only the text is at fault
    length = text.replace(b"%b", b"1")
    for body in (b"x", b"x" * 10):
        with pytest.raises(Malformed):
            read(OK + b"content-length: " + length + b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    "text", [*NOT_A_LENGTH, b" %b", b"\t%b", b"%b ", b"%b\t", b"g", b"%b\n;a=b", b"%b;a=b\n", b"%b;\x00"]
)
def test_a_chunk_size_is_digits_and_an_extension(text: bytes) -> None:
    size = text.replace(b"%b", b"1")
    for data in (b"x", b"x" * 16):
        with pytest.raises(Malformed):
            read(CHUNKED + size + b"\r\n" + data + b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("size", [b"1", b"01", b"1;", b"1;a", b'1;a="b c";d', b"1 ; a=b", b"1\t;a", b"1;a=\xe9"])
def test_a_chunk_size_may_have_an_extension(size: bytes) -> None:
    assert read(CHUNKED + size + b"\r\nx\r\n0;a\r\n\r\n")[2] == b"x"


def test_interim_responses_and_repeated_headers() -> None:
    wire = b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"A: 1\r\nContent-Length: 0\r\na:2\r\n\r\n"
    assert read(wire) == (200, {"a": "1, 2", "content-length": "0"}, b"", True)


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", False),
        (OK + b"connection: close\r\ncontent-length: 0\r\n\r\n", False),
        (OK + b"\r\n", False),
    ],
)
def test_a_connection_is_kept_where_both_sides_know_the_end(head: bytes, keeps: bool) -> None:
    assert read(head)[3] is keeps


def test_waiting_takes_nothing() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(CHUNKED)
        reading = Reading(ours)
        assert not reading.wait(0)
        theirs.sendall(b"1\r\na\r\n")
        assert reading.wait(5)
        assert reading.more() == b"a"
        assert not reading.wait(0)
        theirs.sendall(b"0\r\n\r\n")
        assert reading.wait(5)
        assert reading.more() == b""
