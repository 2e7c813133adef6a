"""A tiny HTTP/1.1 server: h11 on asyncio streams, with request trailers, streamed bodies and hard cuts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress

import h11

Headers = Iterable[tuple[str, str]]
_MAX_HEAD = 64 * 1024
_READ = 64 * 1024
_LINGER_SECONDS = 5.0


class Disconnected(Exception):
    """The peer went away before it had sent its whole request."""


class TooLarge(Exception):
    """The request's body is above the limit."""


class Exchange:
    """One request and its response.

    After the client has gone, writing is a no-op and ``gone`` is true: what runs behind the response goes on, as it
    does behind API Gateway.
    """

    def __init__(self, connection: _Connection, request: h11.Request) -> None:
        self._connection = connection
        self.method = request.method.decode("ascii")
        self.target = request.target.decode("latin-1")
        self.headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in request.headers.raw_items()]
        self.trailers: dict[str, str] = {}
        self.client = connection.client
        self.gone = False
        self.started = False
        self.status = 0
        self._bodyless = False

    async def body(self) -> AsyncIterator[bytes]:
        """The request's body as it arrives; ``trailers`` (names in lower case) are known at its end."""
        await self._connection.invite_body()
        while True:
            try:
                event = await self._connection.receive()
            except h11.RemoteProtocolError:  # an end of the connection in mid-body is one
                raise Disconnected from None
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.trailers = {n.decode("latin-1"): v.decode("latin-1") for n, v in event.headers}
                return
            else:
                raise Disconnected

    async def read(self, limit: int) -> bytes:
        """The whole body of the request, or TooLarge."""
        length = next((v for n, v in self.headers if n.lower() == "content-length"), "0")
        if int(length) > limit:
            raise TooLarge
        data = bytearray()
        async for part in self.body():
            data += part
            if len(data) > limit:
                raise TooLarge
        return bytes(data)

    async def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Send a whole response."""
        await self.begin(status, [*headers, ("content-length", str(len(body)))], body)
        await self.end()

    async def begin(self, status: int, headers: Headers, data: bytes = b"") -> None:
        """Send status, headers and the first bytes. ValueError, with nothing sent, if they are not valid HTTP."""
        try:
            encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
            head = h11.Response(status_code=status, headers=encoded)
        except (h11.LocalProtocolError, UnicodeEncodeError):
            raise ValueError("the response's status or headers are not valid HTTP") from None
        self.started, self.status = True, status
        self._bodyless = self.method == "HEAD" or status in (204, 304)
        frame = self._connection.frame(head)
        await self._write(frame + self._frame_data(data))

    async def send(self, data: bytes) -> None:
        """Send bytes of the body at once."""
        if data:
            await self._write(self._frame_data(data))

    async def end(self) -> None:
        """Finish the response properly."""
        await self._write(self._connection.frame(h11.EndOfMessage()))

    def abort(self) -> None:
        """Cut the connection: the client must see that the response is not whole."""
        self._connection.abort()

    def _frame_data(self, data: bytes) -> bytes:
        return self._connection.frame(h11.Data(data=data)) if data and not self._bodyless else b""

    async def _write(self, data: bytes) -> None:
        if self.gone or not data:
            return
        try:
            await self._connection.write(data)
        except OSError:
            self.gone = True


Handler = Callable[[Exchange], Awaitable[None]]


class _Connection:
    """One TCP connection: a sequence of exchanges."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
        self._aborted = False
        peer = writer.get_extra_info("peername")
        self.client: str = peer[0] if peer else ""

    async def run(self, handler: Handler) -> None:
        """Serve requests until one side closes."""
        while not self._aborted:
            event = await self.receive()
            if not isinstance(event, h11.Request):
                return
            await handler(Exchange(self, event))
            if self._aborted or not await self._rest_of_request() or self._h11.our_state is not h11.DONE:
                return
            self._h11.start_next_cycle()

    async def receive(self) -> h11.Event | None:
        """The next event of the request, or None while the response to the last one is not finished."""
        while True:
            event = self._h11.next_event()
            if isinstance(event, h11.Event):
                return event
            if event is h11.PAUSED:
                return None
            try:
                self._h11.receive_data(await self._reader.read(_READ))
            except OSError:
                raise Disconnected from None

    async def invite_body(self) -> None:
        """Answer ``Expect: 100-continue``, now that somebody wants the body."""
        if self._h11.they_are_waiting_for_100_continue:
            await self.write(self.frame(h11.InformationalResponse(status_code=100, headers=[])))

    def frame(self, event: h11.Event) -> bytes:
        """The bytes of ``event`` on the wire."""
        return self._h11.send(event) or b""

    async def write(self, data: bytes) -> None:
        """Hand ``data`` to the socket (asyncio sets TCP_NODELAY), waiting while its buffer is full."""
        self._writer.write(data)
        await self._writer.drain()

    def abort(self) -> None:
        """Drop the connection without a proper end."""
        self._aborted = True
        self._writer.transport.abort()

    async def refuse(self) -> None:
        """Answer a request that is not HTTP, if that is still possible."""
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            head = h11.Response(status_code=400, headers=[("content-length", "0"), ("connection", "close")])
            await self.write(self.frame(head) + self.frame(h11.EndOfMessage()))

    async def _rest_of_request(self) -> bool:
        """Take what a handler left unread: closing with unread bytes would reset the connection under its answer."""
        connection = self._h11
        if connection.they_are_waiting_for_100_continue:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while connection.their_state is h11.SEND_BODY:
                    await self.receive()
        return connection.states[h11.CLIENT] is h11.DONE


async def serve(handler: Handler, port: int = 0) -> asyncio.Server:
    """Listen on 127.0.0.1 (``port`` 0: any free one) and give each request to ``handler``. OSError if busy."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer)
        try:
            await connection.run(handler)
        except (Disconnected, OSError, asyncio.CancelledError):
            pass  # a cancelled connection has nobody to tell: the edge stops, or the worker behind it has ended
        except h11.RemoteProtocolError:
            with suppress(OSError):
                await connection.refuse()
        finally:
            writer.close()

    return await asyncio.start_server(connected, "127.0.0.1", port, backlog=512)


def port_of(server: asyncio.Server) -> int:
    """The port on which ``server`` listens."""
    port: int = server.sockets[0].getsockname()[1]
    return port
