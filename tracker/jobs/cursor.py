"""Where a page of a list ends, as a text that says it to the next call."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import msgspec

from tracker.errors import InvalidQuery
from tracker.jobs.filter import Position, Sort, SortField
from tracker.jobs.validation import find_unstorable

MAX_CHARS = 500  # the longest name has 90 characters of at most 4 bytes
_CHECKSUM_BYTES = 4
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_KEY = (1 << 63) - 1


class _Fields(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What a cursor says; another version of it would have another number of fields."""

    sort: str
    first: int | str
    second: int | str


def write_cursor(sort: Sort, position: Position) -> str:
    """Return the cursor for what comes after a job in a list with this order."""
    first, second = position
    encoded = msgspec.msgpack.encode(
        _Fields(str(sort), first if isinstance(first, str) else (first - EPOCH) // _MICROSECOND, second)
    )
    return urlsafe_b64encode(_checksum(encoded) + encoded).rstrip(b"=").decode()


def read_cursor(text: str, sort: Sort) -> Position:
    """Return the position that a cursor means.

    :raises InvalidQuery: no list has given it, or one with another order.
    """
    fields = _decode(text)
    if fields.sort != str(sort):
        raise InvalidQuery(
            f"the cursor is of a list sorted by {fields.sort}, and this list is sorted by {sort}"
        )
    return _position(fields, sort)


def _decode(text: str) -> _Fields:
    try:
        if len(text) <= MAX_CHARS:
            raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
            checksum, encoded = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
            if checksum == _checksum(encoded):
                return msgspec.msgpack.decode(encoded, type=_Fields)
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError):
        pass
    raise _unknown(text)


def _position(fields: _Fields, sort: Sort) -> Position:
    """Return a position that PostgreSQL can compare with, although anybody can make up a checksum."""
    first, second = fields.first, fields.second
    if sort.field is SortField.ID:
        if isinstance(first, str) and isinstance(second, str) and find_unstorable(first + second) is None:
            return first, second
    elif isinstance(first, int) and isinstance(second, int) and abs(second) <= _MAX_KEY:
        try:
            return EPOCH + first * _MICROSECOND, second
        except OverflowError:
            pass
    raise _unknown(f"{first}, {second}")


def _unknown(text: str) -> InvalidQuery:
    shown = text if len(text) <= 100 else text[:100] + "..."
    return InvalidQuery(f"{shown!a} is not a cursor that a list has given")


def _checksum(encoded: bytes) -> bytes:
    return binascii.crc32(encoded).to_bytes(_CHECKSUM_BYTES, "big")
