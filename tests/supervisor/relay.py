"""A relay between a client and a server that can be cut on the client's side only."""

import socket
import threading
from typing import Self


class Relay:
    """Passes connections on to a server, until it is cut: then clients are gone and the server is not told.

    `port` is the relay's. It accepts again after `cut`. As a context, everything is closed at the end.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._clients: list[socket.socket] = []
        self._servers: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in [*self._clients, *self._servers]:
            end.close()

    def cut(self) -> None:
        """End all connections for the clients; the server goes on believing in them."""
        for client in self._clients:
            client.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            self._clients.append(client)
            self._servers.append(server)
            threading.Thread(target=_pass, args=[client, server], daemon=True).start()
            threading.Thread(target=_pass, args=[server, client], daemon=True).start()


def _pass(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
