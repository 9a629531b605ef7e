"""A proxy before PostgreSQL that answers one request with an error of the test's choice."""

import socket
import struct
import threading

from tests.support.proxy import Proxy

_QUERY, _SYNC = b"Q", b"S"


class AnsweringProxy(Proxy):
    """Forwards connections to PostgreSQL, and counts what it is asked, over all connections.

    A request is a simple query, or everything up to a Sync. The login is none.
    """

    def __init__(self, port: int) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.answered = False
        self._at, self._code = -1, ""
        super().__init__("127.0.0.1", port)

    def answer(self, at: int, code: str) -> None:
        """Answer the request with this number, from 0, by this SQLSTATE instead of passing it on."""
        with self._lock:
            self.requests, self.answered = 0, False
            self._at, self._code = at, code

    def take(self) -> bool:
        """Count a request, and tell whether it is the one."""
        with self._lock:
            self.requests += 1
            self.answered |= self.requests - 1 == self._at
            return self.requests - 1 == self._at

    def error(self, status: bytes) -> bytes:
        """Return the answer."""
        fields = (("S", "ERROR"), ("V", "ERROR"), ("C", self._code), ("M", f"fault of the test {self._code}"))
        body = b"".join(name.encode() + text.encode() + b"\0" for name, text in fields) + b"\0"
        return b"E" + struct.pack(">i", len(body) + 4) + body + b"Z" + struct.pack(">i", 5) + status

    def pass_on(self, client: socket.socket, server: socket.socket) -> None:
        _Link(self, client, server).start()


class _Link:
    def __init__(self, proxy: AnsweringProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._status = b"I"  # of the transaction, as the server said last

    def start(self) -> None:
        for target in (self._to_server, self._to_client):
            threading.Thread(target=target, daemon=True).start()

    def _to_server(self) -> None:
        try:
            self._server.sendall(_startup(self._client))
            request = b""
            while message := _message(self._client):
                request += message
                if message[:1] == b"p":  # a part of the login
                    self._server.sendall(request)
                    request = b""
                elif message[:1] in (_QUERY, _SYNC):
                    if self._proxy.take():
                        # What fails in a transaction fails it; the server does not know, and rolls it back.
                        self._client.sendall(self._proxy.error(b"E" if self._status != b"I" else b"I"))
                    else:
                        self._server.sendall(request)
                    request = b""
                elif message[:1] in (b"d", b"c", b"f", b"H", b"X"):
                    self._server.sendall(request)
                    request = b""
        except OSError:
            pass
        finally:
            self._close()

    def _to_client(self) -> None:
        try:
            while message := _message(self._server):
                if message[:1] == b"Z":
                    self._status = message[5:6]
                self._client.sendall(message)
        except OSError:
            pass
        finally:
            self._close()

    def _close(self) -> None:
        for end in (self._client, self._server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def _startup(client: socket.socket) -> bytes:
    length = _exactly(client, 4)
    return length + _exactly(client, struct.unpack(">i", length)[0] - 4)


def _message(source: socket.socket) -> bytes:
    """Return the next message; nothing at the end."""
    kind = source.recv(1)
    if not kind:
        return b""
    length = _exactly(source, 4)
    return kind + length + _exactly(source, struct.unpack(">i", length)[0] - 4)


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = source.recv(count - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data
