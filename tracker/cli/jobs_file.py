"""Reads jobs from a file or from stdin."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from tracker.errors import InvalidJob, TrackerError
from tracker.jobs.fields import InvalidField
from tracker.jobs.job import NewJob
from tracker.jobs.job_text import read_job
from tracker.jobs.validation import plain, some_of

Jobs = tuple[list[NewJob], Callable[[int], str]]
"""Jobs, and what to call the one at an index in an error message."""


def read_jobs(file: str) -> Jobs:
    """Read one JSON object, an array of them, or one a line; ``-`` is stdin. Blank lines do not count.

    :raises InvalidJob: some of it is not a job; the text names the first few lines.
    :raises TrackerError: the file cannot be read.
    """
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise TrackerError(f"{file} cannot be read: {error.strerror}") from None
    data = data.removeprefix(b"\xef\xbb\xbf")
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    if not lines:
        raise InvalidJob("there is no job in the input")
    # Either each line is an object, or the input is one JSON value with line breaks in it.
    first = lines[0][1].strip()
    if not first.startswith(b"[") and (len(lines) == 1 or _is_object(first)):
        return _read_lines(lines)
    return _read_value(data)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (ValueError, RecursionError):
        # Wrong inside, or cut? A line that ends an object is wrong by itself.
        return line.startswith(b"{") and line.endswith(b"}")


def _read_lines(lines: list[tuple[int, bytes]]) -> Jobs:
    jobs = []
    problems = []
    for number, line in lines:
        try:
            jobs.append(read_job(line))
        except (ValueError, RecursionError, InvalidField) as error:
            problems.append(f"line {number}: {_explain(error, line)}")
    if problems:
        raise InvalidJob(some_of(problems, "; "))
    numbers = [number for number, _ in lines]
    return jobs, lambda index: f"line {numbers[index]}"


def _read_value(data: bytes) -> Jobs:
    try:
        if data.lstrip().startswith(b"["):
            return _read_array(msgspec.json.decode(data, type=list[msgspec.Raw]))
        return [read_job(data)], lambda _: "the job"
    except (ValueError, RecursionError, InvalidField) as error:
        place = re.search(r"\(byte (\d+)\)", str(error))
        line = data[: int(place[1])].count(b"\n") + 1 if place else 1
        raise InvalidJob(f"{f'line {line}: ' if place else ''}{_explain(error, data)}") from None


def _read_array(texts: list[msgspec.Raw]) -> Jobs:
    jobs = []
    problems = []
    for number, text in enumerate(texts, 1):
        try:
            jobs.append(read_job(text))
        except (ValueError, RecursionError, InvalidField) as error:
            problems.append(f"job {number}: {_explain(error, text)}")
    if problems:
        raise InvalidJob(some_of(problems, "; "))
    return jobs, lambda index: f"job {index + 1}"


def _explain(error: Exception, text: bytes | msgspec.Raw) -> str:
    if isinstance(error, RecursionError):
        return "the JSON is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if type(error) is msgspec.DecodeError and _has_half_character(bytes(text)):
        return "a string has a lone surrogate, which is no character"
    return plain(error)


def _has_half_character(text: bytes) -> bool:
    """Ask Python's library, which takes half characters; msgspec calls such a text cut, or malformed."""
    try:
        return b"\\ud" in text.lower() and json.loads(text.decode()) is not None
    except (ValueError, RecursionError):
        return False
