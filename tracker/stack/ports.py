"""Free TCP ports for servers on this machine."""

import secrets
import socket
from pathlib import Path

LOWEST = 10_000


def free_ports(count: int) -> list[int]:
    """Return this many different ports on which nothing listens at 127.0.0.1 now.

    They are random ports below the range that the system uses for outgoing connections. Any connection could
    take a port of that range while its server restarts; even a client that connects to the server could take
    it, and connect to itself. Another program may still take a port before the server does, so the caller
    must be prepared to try again with other ports.
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
