"""A relay between a client and a server that can be cut on the client's side only."""

import socket
import threading

from tests.support.proxy import Proxy


class Relay(Proxy):
    """Passes connections on to a server, until it is cut: its clients are then gone, unseen by the server.

    It accepts again after `cut`.
    """

    def cut(self) -> None:
        """End all connections for the clients; the server still believes that they are open."""
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
