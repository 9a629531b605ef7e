"""Free TCP ports for servers on this machine."""

import secrets
import socket
from pathlib import Path

LOWEST = 10_000


def free_ports(count: int) -> list[int]:
    """Return this many different ports that nothing listens on at 127.0.0.1 just now.

    They are drawn by chance from below the range that the system gives to outgoing connections: a port of
    that range can be taken by anybody's connection while its server is down for a restart; it can even be
    taken by a client that tries to reach the server, and thereby reaches itself. Another program may still
    take a port before the server does, so the program that starts a server must be ready to try again with
    other ports.
    """
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            candidate = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                candidate.bind(("127.0.0.1", LOWEST + secrets.randbelow(_first_outgoing_port() - LOWEST)))
            except OSError:
                candidate.close()
            else:
                held.append(candidate)
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


def _first_outgoing_port() -> int:
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        first = 32_768
    return max(first, LOWEST + 1_000)
