"""A proxy before a server: it pairs connections. What passes between the two is for subclasses to say."""

import socket
import threading
from abc import ABC, abstractmethod
from typing import Self


class Proxy(ABC):
    """Accepts clients on `port`, and connects each to the server. As a context, it closes all at the end."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._clients: list[socket.socket] = []
        self._servers: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @abstractmethod
    def pass_on(self, client: socket.socket, server: socket.socket) -> None:
        """Start to pass on what the two send. It must not block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for end in (self._listener, *self._clients, *self._servers):
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            self._clients.append(client)
            self._servers.append(server)
            self.pass_on(client, server)
