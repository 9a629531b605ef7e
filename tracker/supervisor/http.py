"""The supervisor's HTTP endpoint: ``/livez``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

import errno
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from tracker import logs
from tracker.errors import TrackerError
from tracker.supervisor.health import Health, answer
from tracker.supervisor.totals import Totals, TotalsCollector

READ_LIMIT_S = 5.0
"""A client that sends nothing for this time is disconnected."""

REQUEST_LIMIT_S = 10.0
"""A request that takes longer in total, because its client is slow, is cut off."""

CONNECTION_LIMIT = 64
"""More connections are closed at once: there are a few clients, which ask every few seconds."""

log = logs.get_logger()


class Endpoint:
    """Answers HTTP requests on threads of its own, from `health` and `totals`."""

    def __init__(self, host: str, port: int, health: Health, totals: Totals) -> None:
        """Listen; port 0 is any free one.

        :raises TrackerError: the address or port is not available.
        """
        registry = CollectorRegistry()
        registry.register(TotalsCollector(totals))
        try:
            self._server = _Server(host, port, health, registry)
        except OSError as error:
            raise TrackerError(_refusal(host, port, error)) from error
        self.port: int = self._server.server_address[1]
        # Closing may take as long as the interval.
        serve = threading.Thread(target=self._server.serve_forever, args=[0.1], name="http", daemon=True)
        serve.start()

    def close(self) -> None:
        """Stop listening; this may cut off requests in progress."""
        self._server.shutdown()
        self._server.server_close()


def _refusal(host: str, port: int, error: OSError) -> str:
    reason = "the port is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
    return (
        f"HTTP cannot be served on {host}:{port} ({reason}): set TRACKER_HTTP_HOST and TRACKER_HTTP_PORT to "
        "what is free; an empty port turns HTTP off"
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = CONNECTION_LIMIT

    def __init__(self, host: str, port: int, health: Health, registry: CollectorRegistry) -> None:
        self.health = health
        self.registry = registry
        self._open: dict[socket.socket, float] = {}
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self.address_family = family
        super().__init__(address[:2], _Handler)  # type: ignore[arg-type]  # a host and a port, as mypy cannot know

    def server_bind(self) -> None:
        # HTTPServer's own method asks the name service for this host's name, which can take long and is not
        # needed.
        socketserver.TCPServer.server_bind(self)

    def verify_request(self, request: object, client_address: object) -> bool:
        return len(self._open) < CONNECTION_LIMIT

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut off requests that take too long; called by the listening thread, several times a second."""
        now_s = time.monotonic()
        for request, since_s in list(self._open.items()):
            if now_s - since_s > REQUEST_LIMIT_S:
                self._open.pop(request, None)
                with suppress(OSError):  # it has just been closed
                    request.shutdown(socket.SHUT_RDWR)  # the thread's read or write fails, and it ends

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # an OSError is a client that went away
            log.error("HTTP request failed", exc_info=error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = READ_LIMIT_S
    server_version = "tracker"
    sys_version = ""
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = "text/plain; charset=utf-8"

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/livez":
                problems = self.server.health.problems()
                self._answer_json({"live": not problems, "problems": problems}, ok=not problems)
            case "/readyz":
                ready, content = answer(self.server.health)
                self._answer_json(content, ok=ready)
            case "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept") or "")
                self._answer(HTTPStatus.OK, content_type, encode(self.server.registry))
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer_json(self, content: Mapping[str, object], *, ok: bool) -> None:
        status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, "application/json", orjson.dumps(content) + b"\n")

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        log.debug("HTTP", client=self.client_address[0], line=format % args)
