"""Reads the task data of a submitted job: the bytes to send, and the form in which it is compared.

Values that JSON does not have are refused with their path: NaN, Infinity, bytes, Decimal, sets, keys other
than strings. msgspec and Python's json would change some of them silently.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from math import isfinite
from operator import itemgetter
from typing import Any, NamedTuple, NoReturn

import msgspec

from tracker.identifiers import quote
from tracker.jobs.fields import InvalidField, kind_of
from tracker.jobs.job import NewTask

MAX_TASK_DATA_BYTES = 740_000  # base64 makes 4 of 3 bytes, and the message has to stay below 1,000,000
CANONICAL_LEVELS = 200  # deeper JSON is compared by its bytes: how deep Python can read differs by version
MAX_INTEGER_BITS = 14_280  # of a program's numbers: Python writes at most 4,300 digits

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_SCALARS = frozenset((str, int, bool, type(None)))
_STRINGS = frozenset((str,))


class TaskData(NamedTuple):
    """The task data of a job."""

    sent: bytes
    canonical: bytes | None  # of a JSON object: its canonical form; None: it is compared by its bytes


def read_task_data(task: NewTask) -> TaskData:
    """Return the task data as it is sent, and as it is compared.

    :raises InvalidField: it has not the type that `NewTask` says, or is too large.
    """
    data: object = task.task_data
    encoding: object = task.task_data_encoding
    if encoding not in (None, "utf8", "base64"):
        shown = quote(encoding) if isinstance(encoding, str) else kind_of(encoding)
        raise InvalidField(f"taskDataEncoding is {shown}, neither utf8 nor base64")
    if isinstance(data, Mapping):
        read = _read_mapping(data)
    elif not isinstance(data, str):
        raise InvalidField(f"taskData is {kind_of(data)}, neither an object nor a string")
    else:
        sent = _read_base64(data) if encoding == "base64" else _read_text(data)
        _check_size(sent)
        return TaskData(sent, canonical_json(sent))
    _check_size(read.sent)
    return read


def canonical_json(data: bytes) -> bytes | None:
    """Return the canonical form of a JSON object: keys sorted, no blanks, numbers as they were written.

    Equal keys of an object stay in their order. None if it is not a JSON object, or has more than 200 levels.
    """
    if not data.lstrip(b" \t\r\n").startswith(b"{"):
        return None
    try:
        return _write(_DECODER.decode(data.decode()), CANONICAL_LEVELS)
    except (ValueError, RecursionError):
        return None


def _check_size(data: bytes) -> None:
    if len(data) > MAX_TASK_DATA_BYTES:
        raise InvalidField(
            f"taskData has {len(data):,} bytes, at most {MAX_TASK_DATA_BYTES:,} fit in a message"
        )


def _read_text(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidField("taskData has a lone surrogate, which is no character") from None


def _read_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidField("taskData is not base64") from None


def _read_mapping(data: Mapping[Any, Any]) -> TaskData:
    try:
        try:
            if _is_plain(data, CANONICAL_LEVELS):
                return TaskData(_encode(data), _encode_sorted(data))
        except ValueError:  # half a character, or a number with too many digits: the copy finds where
            pass
        sent = _encode(_plain_copy(data, "taskData"))
    except RecursionError:
        raise InvalidField("taskData is nested too deeply") from None
    return TaskData(sent, canonical_json(sent))


def _is_plain(value: Any, levels: int) -> bool:
    """Return whether it has values of JSON's own types only, and is not too deep. It takes 0.1 µs a value."""
    kind = type(value)
    if kind is float:
        return isfinite(value)
    if not levels or kind not in (dict, list):
        return False
    if kind is dict:
        if not _STRINGS.issuperset(map(type, value)):  # the keys
            return False
        value = value.values()
    for each in value:  # noqa: SIM110 - a generator would cost as much again
        if type(each) not in _SCALARS and not _is_plain(each, levels - 1):
            return False
    return True


def _plain_copy(value: Any, path: str) -> Any:
    """Return a value with subtypes of JSON's types replaced by JSON's types.

    :raises InvalidField: a value in it is not JSON; the text has its path.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _plain_text(value, path)
    if isinstance(value, int):
        if value.bit_length() > MAX_INTEGER_BITS:
            raise InvalidField(f"{path} is a whole number of too many digits")
        return int(value)
    if isinstance(value, float):
        if not isfinite(value):
            raise InvalidField(f"{path} is {_not_finite(value)}, which JSON does not have")
        return float(value)
    if isinstance(value, Mapping):
        return {_plain_key(key, path): _plain_copy(each, f"{path}.{key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_copy(each, f"{path}[{index}]") for index, each in enumerate(value)]
    raise InvalidField(f"{path} is {kind_of(value)}, which JSON does not have")


def _plain_key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise InvalidField(f"{path} has the key {key!r:.100}, which is {kind_of(key)}, not a string")
    return _plain_text(key, f"a key of {path}")


def _plain_text(text: str, path: str) -> str:
    plain = str.__str__(text)
    if any("\ud800" <= character <= "\udfff" for character in plain):
        raise InvalidField(f"{path} has a lone surrogate, which is no character")
    return plain


def _not_finite(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


# An object becomes a tuple of pairs; nothing else becomes a tuple.
_DECODER = json.JSONDecoder(
    object_pairs_hook=tuple, parse_float=_Number, parse_int=_Number, parse_constant=_no_constant
)


def _write(value: Any, levels: int) -> bytes:
    kind = type(value)
    if kind is _Number:
        return str.encode(value)
    if kind is not tuple and kind is not list:
        return _encode(value)
    if not levels:
        raise RecursionError
    if kind is list:
        return b"[%b]" % b",".join([_write(each, levels - 1) for each in value])
    pairs = sorted(value, key=itemgetter(0))
    return b"{%b}" % b",".join([b"%b:%b" % (_encode(key), _write(each, levels - 1)) for key, each in pairs])
