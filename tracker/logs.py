"""Log lines: structured, one for an occurrence, the same from every process and library.

Each process calls `configure` once. After that, everything goes through it: the tracker's own lines, those of
librdkafka and other libraries, warnings, and uncaught exceptions. Lines go to stderr. Text that may come from
outside is escaped, so that nobody can forge a line or control a terminal. Payloads are never logged.
"""

from __future__ import annotations

import logging
import math
import re
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from tracker.json_lines import on_one_line
from tracker.log_stream import LogStream

MAX_TEXT_CHARS = 2_000
"""Longer texts are cut. It is enough for an error of the database, and too little for a message."""

_LIBRDKAFKA = "librdkafka"
_REPEAT_S = 30.0
_MAX_LINES = 1_000  # memory stays bounded
_VARYING = re.compile(r"(?<=#)(consumer|producer)-\d+|\d+ ?ms|, \d+ identical error\(s\) suppressed")

Format = Literal["auto", "json", "console"]


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How to log; the supervisor passes it to its children.

    `log_format`: ``json``, ``console``, or ``auto``, which is ``console`` on a terminal. `level`: the lowest
    level that is logged.
    """

    log_format: Format = "auto"
    level: str = "info"


def configure(process: str, options: LogOptions = LogOptions(), stream: TextIO | None = None) -> None:
    """Make this process log as `options` say, with `process` in each line.

    Call it once, before other threads start. From then on, an uncaught exception is logged as one line with
    its type and message, and with a traceback only at level ``debug``.
    """
    level = logging.getLevelNamesMapping()[options.level.upper()]
    stream = stream or sys.stderr
    common: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _ProcessName(process),
        _Errors(with_traceback=level <= logging.DEBUG),
        _escape_values,
    ]
    structlog.configure(
        processors=[*common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *common],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(options.log_format, stream),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # if stderr is closed, do not write a traceback to it
    logging.getLogger(_LIBRDKAFKA).filters[:] = [_RepeatFilter()]
    _catch_uncaught()


def _handler(stream: TextIO) -> logging.Handler:
    try:
        return _Handler(LogStream(stream))
    except (AttributeError, OSError):  # there is no stderr, or it is not a file
        return logging.StreamHandler(stream)


class _Handler(logging.Handler):
    def __init__(self, stream: LogStream) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, and log how many were left out before it."""
        try:
            left_out = self._stream.write(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 - an error in logging must stop nothing else
            self.handleError(record)
            return
        if left_out:
            get_logger().warning("log lines were left out: nobody read them", lines=left_out)


def get_logger(name: str = "tracker") -> FilteringBoundLogger:
    """Return a logger whose methods take an event, in plain words, and its fields as keywords."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


def kafka_logger() -> logging.Logger:
    """Return the ``logger`` for a Kafka client, so that librdkafka's lines come here too."""
    return logging.getLogger(_LIBRDKAFKA)


def _renderer(log_format: Format, stream: TextIO) -> Processor:
    on_terminal = stream.isatty()
    if log_format == "json" or (log_format == "auto" and not on_terminal):
        return structlog.processors.JSONRenderer(serializer=_as_json)
    return structlog.dev.ConsoleRenderer(colors=on_terminal, timestamp_key="time", pad_event_to=0)


def _as_json(line: EventDict, **_: object) -> str:
    return on_one_line(orjson.dumps(line, default=str)).decode()


class _RepeatFilter(logging.Filter):
    """Lets a repeated line of librdkafka pass only from time to time, whatever client and times it names.

    While no broker can be reached, each client logs that 20 times a second: it discards what it knew about
    the brokers and begins again, and so forgets what it has logged (2.16).
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: dict[str, tuple[float, int]] = {}  # when it last passed, and how often it has not since

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record, and add to its text how often it was left out before."""
        if record.levelno <= logging.DEBUG:
            return True
        text = record.getMessage()
        line = _VARYING.sub("", text)
        now = time.monotonic()
        logged, left_out = self._lines.get(line, (-math.inf, 0))
        if now < logged + _REPEAT_S:
            self._lines[line] = logged, left_out + 1
            return False
        if len(self._lines) >= _MAX_LINES:
            self._lines.clear()
        self._lines[line] = now, 0
        if left_out:
            record.msg, record.args = f"{text} [{left_out} such lines left out before]", None
        return True


class _ProcessName:
    """Adds the name of the process to each line."""

    def __init__(self, process: str) -> None:
        self._process = process

    def __call__(self, _logger: object, _method: str, line: EventDict) -> EventDict:
        line["process"] = self._process
        return line


class _Errors:
    """Replaces an exception by ``error``, its type and message."""

    def __init__(self, *, with_traceback: bool) -> None:
        self._with_traceback = with_traceback

    def __call__(self, _logger: object, _method: str, line: EventDict) -> EventDict:
        exc_info = line.pop("exc_info", None)
        if exc_info is True:
            exc_info = sys.exc_info()
        error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
        if isinstance(error, BaseException):
            line["error"] = f"{type(error).__name__}: {error}"
            if self._with_traceback:
                line["traceback"] = "".join(traceback.format_exception(error)).splitlines()
        return line


def _escape_values(_logger: object, _method: str, line: EventDict) -> EventDict:
    # Keys with an underscore are the formatter's, which removes them.
    safe = {key: value if key.startswith("_") else _escape(value) for key, value in line.items()}
    first = {key: safe.pop(key) for key in ("time", "level", "process", "event") if key in safe}
    return first | safe


def _escape(value: object) -> object:
    match value:
        case int() if value.bit_length() > 63:
            return str(value)
        case None | bool() | int() | float():
            return value
        case dict():
            return {_escape_text(str(key)): _escape(item) for key, item in value.items()}
        case list() | tuple():
            return [_escape(item) for item in value]
        case _:
            return _escape_text(str(value))


def _escape_text(text: str) -> str:
    text = text.strip()
    if len(text) > MAX_TEXT_CHARS:
        text = text[:MAX_TEXT_CHARS] + f"... ({len(text)} characters)"
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def _catch_uncaught() -> None:
    """Log the exceptions that Python would print as a traceback."""
    log = get_logger()

    def in_main(_type: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
        log.critical("unexpected error", exc_info=error)

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            thread = args.thread.name if args.thread else None
            log.critical("unexpected error in a thread", thread=thread, exc_info=args.exc_value)

    def in_cleanup(args: sys.UnraisableHookArgs) -> None:
        if args.exc_value is not None:
            log.error("unexpected error while cleaning up", exc_info=args.exc_value)

    sys.excepthook = in_main
    threading.excepthook = in_thread
    sys.unraisablehook = in_cleanup
