"""A relay between a client and a server that can be cut on the client's side only."""

import socket
import threading

from tests.support.proxy import Proxy


class Relay(Proxy):
    """Passes connections on to a server, until it is cut: then clients are gone and the server is not told.

    It accepts again after `cut`.
    """

    def cut(self) -> None:
        """End all connections for the clients; the server goes on believing in them."""
        for client in self._clients:
            client.shutdown(socket.SHUT_RDWR)

    def pass_on(self, client: socket.socket, server: socket.socket) -> None:
        threading.Thread(target=_pass, args=[client, server], daemon=True).start()
        threading.Thread(target=_pass, args=[server, client], daemon=True).start()


def _pass(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
