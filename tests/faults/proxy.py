"""A proxy between the tracker and a server. It can be slow, cut connections, or cut at the worst moment.

It forwards bytes unchanged. It finds where each request of a client ends and what it is, so it can cut the
connection right after a given request, or right before it. After it, the server has the request and the
client never learns the outcome. The names of the requests are ``COMMIT``, and ``Produce``, ``EndTxn``,
``TxnOffsetCommit`` and the others of `KAFKA_REQUESTS`.
"""

import asyncio
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol, Self

KAFKA_REQUESTS = {
    0: "Produce",
    1: "Fetch",
    8: "OffsetCommit",
    9: "OffsetFetch",
    11: "JoinGroup",
    12: "Heartbeat",
    14: "SyncGroup",
    22: "InitProducerId",
    24: "AddPartitionsToTxn",
    25: "AddOffsetsToTxn",
    26: "EndTxn",
    28: "TxnOffsetCommit",
}

TO_SERVER, TO_CLIENT = "to server", "to client"
_ANSWER_LIMIT_S, _QUIET_S = 5.0, 0.1
_STARTUP, _PROTOCOL_3 = 8, 196_608


class Requests(Protocol):
    """Splits what one client sends into requests."""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, str]]:
        """Take bytes; yield each request that they complete, with its name."""
        ...


class KafkaRequests:
    """Kafka's requests: a length, then the number of the request."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, str]]:
        self._buffer += data
        while len(self._buffer) >= 6:
            length, number = struct.unpack_from(">ih", self._buffer)
            if len(self._buffer) < 4 + length:
                return
            request = bytes(self._buffer[: 4 + length])
            del self._buffer[: 4 + length]
            yield request, KAFKA_REQUESTS.get(number, str(number))


class PostgresRequests:
    """PostgreSQL's messages: a letter, then a length. In a pipeline, a COMMIT includes all up to the Sync."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._started = False
        self._commit = b""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, str]]:
        self._buffer += data
        while (length := self._length()) is not None and len(self._buffer) >= length:
            message = bytes(self._buffer[:length])
            del self._buffer[:length]
            name = self._name(message)
            if name == "pipelined COMMIT" or (self._commit and name != "S"):
                self._commit += message
            elif self._commit:
                whole, self._commit = self._commit + message, b""
                yield whole, "COMMIT"
            else:
                yield message, name

    def _length(self) -> int | None:
        type_bytes = 1 if self._started else 0
        if len(self._buffer) < 4 + type_bytes:
            return None
        return type_bytes + int(struct.unpack_from(">i", self._buffer, type_bytes)[0])

    def _name(self, message: bytes) -> str:
        if not self._started:
            # A request for encryption may come first; the server declines it.
            self._started = (
                len(message) >= _STARTUP and struct.unpack_from(">i", message, 4)[0] == _PROTOCOL_3
            )
            return "startup"
        kind = chr(message[0])
        if kind == "P" and _is_commit(message[5:].split(b"\0")[1]):
            return "pipelined COMMIT"
        return "COMMIT" if kind == "Q" and _is_commit(message[5:]) else kind


def _is_commit(statement: bytes) -> bool:
    return statement.strip().upper().startswith(b"COMMIT")


class Trap:
    """Waits for a request, and cuts the connection there."""

    def __init__(self, request: str, *, before: bool, stay_down: bool, skip: int) -> None:
        self.request, self.before, self.stay_down = request, before, stay_down
        self._skip = skip
        self._sprung = threading.Event()

    def wait(self, timeout_s: float = 30.0) -> None:
        """Wait until it has cut."""
        assert self._sprung.wait(timeout_s), f"no {self.request} came"

    @property
    def is_sprung(self) -> bool:
        """Whether it has cut."""
        return self._sprung.is_set()

    def catches(self, request: str) -> bool:
        """Return whether this is the request to cut at: true once."""
        if request == self.request:
            self._skip -= 1
        return request == self.request and self._skip == -1

    def spring(self) -> None:
        """Note that it has cut."""
        self._sprung.set()


class Proxy:
    """Forwards connections to a server on this machine. Any thread may call the methods.

    `port` is the proxy's own, from the start; `forward_to` sets the server's. `delay_s` delays each chunk of
    bytes, in both directions.
    """

    def __init__(self, requests: Callable[[], Requests]) -> None:
        self.delay_s = 0.0
        self.port = 0
        self._requests = requests
        self._target: int | None = None
        self._refusing = False
        self._trap: Trap | None = None
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._open = {TO_SERVER: asyncio.Event(), TO_CLIENT: asyncio.Event()}
        for is_open in self._open.values():
            is_open.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def forward_to(self, port: int) -> None:
        """Set the port of the server."""
        self._target = port

    def close(self) -> None:
        """End all connections, and stop listening."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # Faults

    def cut(self, *, stay_down: bool = False) -> None:
        """End all connections. With `stay_down`, refuse new ones until `heal`."""
        self._refusing = stay_down
        self._call(self._abort_all)

    def block(self, *directions: str) -> None:
        """Forward nothing in these directions (both by default), and keep the connections."""
        for direction in directions or (TO_SERVER, TO_CLIENT):
            self._call(self._open[direction].clear)

    def trap(self, request: str, *, before: bool = False, stay_down: bool = False, skip: int = 0) -> Trap:
        """Cut the connection that carries a request of this name, after the request or `before` it.

        The first `skip` such requests pass. With `stay_down`, end all other connections too, and refuse new
        ones until `heal`.
        """
        self._trap = Trap(request, before=before, stay_down=stay_down, skip=skip)
        return self._trap

    def heal(self) -> None:
        """Forward everything again, without delay."""
        self.delay_s, self._refusing, self._trap = 0.0, False, None
        for is_open in self._open.values():
            self._call(is_open.set)

    # On the loop's thread

    def _call(self, function: Callable[[], object]) -> None:
        done = threading.Event()

        def call() -> None:
            function()
            done.set()

        self._loop.call_soon_threadsafe(call)
        assert done.wait(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        self._refusing = True
        self._abort_all()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _abort_all(self, but: "_Link | None" = None) -> None:
        for link in self._links - {but}:
            link.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing or self._target is None:
            writer.transport.abort()
            return
        try:
            server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, (reader, writer), server, self._requests())
        self._links.add(link)
        try:
            await link.run()
        finally:
            link.abort()
            self._links.discard(link)

    async def _pass(self, direction: str) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._open[direction].wait()

    def _caught(self, request: str) -> Trap | None:
        trap = self._trap
        if trap is None or not trap.catches(request):
            return None
        if trap.stay_down:
            self._refusing = True
        return trap


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection of a client, and that to the server."""

    def __init__(self, proxy: Proxy, client: Streams, server: Streams, requests: Requests) -> None:
        self._proxy, self._requests = proxy, requests
        self._client_reader, self._client_writer = client
        self._server_reader, self._server_writer = server
        self._cutting = False
        self._answered = asyncio.Event()

    async def run(self) -> None:
        """Forward until either side ends."""
        there = asyncio.create_task(self._to_server())
        back = asyncio.create_task(self._to_client())
        ways = {there, back}
        with suppress(asyncio.CancelledError):
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if self._cutting:
                await there
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

    def abort(self) -> None:
        """End both sides at once."""
        self._client_writer.transport.abort()
        self._server_writer.transport.abort()

    async def _to_server(self) -> None:
        with suppress(OSError):
            while data := await self._client_reader.read(65_536):
                for request, name in self._requests.feed(data):
                    await self._proxy._pass(TO_SERVER)
                    trap = self._proxy._caught(name)
                    if trap is not None:
                        await self._cut_at(request, trap)
                        return
                    self._server_writer.write(request)
                await self._server_writer.drain()

    async def _cut_at(self, request: bytes, trap: Trap) -> None:
        self._cutting = True
        if trap.stay_down:
            self._proxy._abort_all(but=self)
        if not trap.before:
            # The server's answer shows that it has done the request. Nobody else sees the answer.
            self._server_writer.write(request)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._answered.wait(), _ANSWER_LIMIT_S)
        self.abort()
        trap.spring()

    async def _to_client(self) -> None:
        with suppress(OSError):
            while data := await self._server_reader.read(65_536):
                if self._cutting:
                    await asyncio.sleep(_QUIET_S)  # the rest of the answer
                    self._answered.set()
                    return
                await self._proxy._pass(TO_CLIENT)
                self._client_writer.write(data)
                await self._client_writer.drain()
