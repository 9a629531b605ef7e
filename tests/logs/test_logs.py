"""Log lines, as a program of its own writes them."""

import json
import os
import subprocess
import sys
from typing import Any

from tracker.logs import MAX_TEXT_CHARS

PROGRAM = """
import logging, threading, warnings
from tracker import logs
logs.configure("worker-3", logs.LogOptions({log_format!r}, {level!r}))
log = logs.get_logger()
"""


def run(body: str, *, log_format: str = "auto", level: str = "info") -> tuple[int, str]:
    program = PROGRAM.format(log_format=log_format, level=level) + body
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def lines(body: str, *, level: str = "info") -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(body, level=level)[1].splitlines()]


def test_a_line_says_when_who_and_what() -> None:
    (line,) = lines("log.info('batch', records=10, drops={'cancelled': 2})")
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "process": "worker-3",
        "event": "batch",
        "records": 10,
        "drops": {"cancelled": 2},
    }


def test_console_lines_are_plain_where_there_is_no_terminal() -> None:
    _, text = run("log.warning('waiting', reason='down')", log_format="console")
    assert text.count("\n") == 1
    assert "waiting" in text
    assert "reason=down" in text
    assert "process=worker-3" in text
    assert "\x1b" not in text


def test_lines_below_the_level_are_left_out() -> None:
    assert [line["event"] for line in lines("log.info('a'); log.warning('b')", level="warning")] == ["b"]


def test_nothing_from_outside_can_forge_a_line_or_steer_a_terminal() -> None:
    body = r"log.info('x\ny\x1b[2J', key='\x9b\u2028\ud800\r', nested=[{'a\nb': '\x00'}], e=OSError('\x07'))"
    for log_format in ("json", "console"):
        _, text = run(body, log_format=log_format)
        assert text.count("\n") == 1
        assert text.rstrip("\n").isprintable()


def test_numbers_of_any_size_can_be_logged() -> None:
    (line,) = lines("log.info('x', big=10**30, nan=float('nan'))")
    assert line["big"] == str(10**30)
    assert line["nan"] is None


def test_a_long_text_is_cut() -> None:
    (line,) = lines("log.info('x', text='y' * 1_000_000)")
    assert line["text"].startswith("y" * MAX_TEXT_CHARS + "... (1000000 characters)")
    assert len(line["text"]) < MAX_TEXT_CHARS + 50


def test_uncaught_exceptions_are_one_line() -> None:
    status, text = run("raise ValueError('oh\\nno')")
    assert status == 1
    (line,) = [json.loads(line) for line in text.splitlines()]
    assert (line["event"], line["error"]) == ("unexpected error", r"ValueError: oh\nno")
    (line,) = lines("t = threading.Thread(target=lambda: 1 / 0, name='out'); t.start(); t.join()")
    assert (line["thread"], line["error"]) == ("out", "ZeroDivisionError: division by zero")


def test_the_traceback_is_there_for_those_who_debug() -> None:
    (line,) = lines("raise ValueError('oh')", level="debug")
    assert line["traceback"][-1] == "ValueError: oh"


def test_other_libraries_log_the_same_way() -> None:
    found = lines(
        "logging.getLogger('other').warning('hello %s', 'there')\n"
        "warnings.warn('careful')\n"
        "logs.kafka_logger().error('%s [%s] %s', 'FAIL', 'rdkafka#consumer-1', 'refused')\n"
    )
    assert [line["event"].partition("\\n")[0].rpartition("Warning: ")[2] for line in found] == [
        "hello there",
        "careful",
        "FAIL [rdkafka#consumer-1] refused",
    ]
    assert [line["logger"] for line in found] == ["other", "py.warnings", "librdkafka"]
    assert {line["process"] for line in found} == {"worker-3"}


def test_a_closed_stderr_stops_no_thread() -> None:
    assert run("import sys, os; os.close(2); log.error('x'); os._exit(7)") == (7, "")


def test_a_line_of_librdkafkas_is_logged_once_in_a_while_however_often_it_comes() -> None:
    body = """
clock = [0.0]
logs.time.monotonic = lambda: clock[0]
kafka = logs.kafka_logger()
for turn in range(100):
    clock[0] = turn * 0.6
    kafka.error("FAIL [rdkafka#consumer-%d] away (after %dms in state CONNECT)", turn, turn)
kafka.error("FAIL [rdkafka#consumer-1] refused (after 1ms in state CONNECT)")
"""
    assert [line["event"] for line in lines(body)] == [
        "FAIL [rdkafka#consumer-0] away (after 0ms in state CONNECT)",
        "FAIL [rdkafka#consumer-50] away (after 50ms in state CONNECT) [49 such lines left out before]",
        "FAIL [rdkafka#consumer-1] refused (after 1ms in state CONNECT)",
    ]


def test_of_librdkafkas_debug_lines_none_is_left_out() -> None:
    assert len(lines("for _ in range(5): logs.kafka_logger().debug('state')", level="debug")) == 5


def test_lines_that_nobody_reads_are_left_out_and_counted() -> None:
    body = """
for number in range(1_000): log.info("x" * 1_000, number=number)
os.write(1, b"done")
sys.stdin.read(1)
log.info("read again")
"""
    program = PROGRAM.format(log_format="json", level="info") + "import os, sys\n" + body
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(4) == b"done"
        text = os.read(process.stderr.fileno(), 1_000_000)  # all: there is room before "x"
        text += process.communicate(b"x")[1]
    found = [json.loads(line) for line in text.splitlines() if line.endswith(b"}")]  # one is cut
    *before, again, left_out = found
    assert [line["number"] for line in before] == list(range(len(before)))
    assert again["event"] == "read again"
    assert left_out["event"] == "log lines were left out: nobody read them"
    assert left_out["lines"] + len(before) == 1_000


def test_a_line_that_is_longer_than_a_pipe_is_written_whole() -> None:
    (line,) = lines("log.info('x', many=['y' * 1_000] * 300)")
    assert len(line["many"]) == 300


def test_a_line_that_is_logged_while_another_is_written_does_not_wait() -> None:
    """The collector of garbage may run in there, and an object's end go wrong, which is logged."""
    body = """
write, depth = os.write, []
def logging_write(fd, data):
    if not depth:
        depth.append(1)
        log.info("within")
    return write(fd, data)
os.write = logging_write
faulthandler.dump_traceback_later(20, exit=True)
log.info("outside")
"""
    assert [line["event"] for line in lines("import faulthandler, os\n" + body)] == ["within", "outside"]
