"""Checks the dead letters of a round: the right ones, and uncut where their topic has room for them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256

from tests.support.kafka import Received
from tests.support.model.outcomes import DeadLetter, Outcome

DEFAULT_LIMIT_BYTES = 1_048_588
"""The size of a record that a topic takes by default."""

SMALL_LIMIT_BYTES = 20_000
"""The same for the dead-letter topic while a fault limits it."""

_OVERHEAD_BYTES = 4_096  # at most: what a dead letter has besides its record


def source_of(letter: Received) -> tuple[str, int, int]:
    """Return the position of a dead letter's record. The record's own headers may be missing."""
    source = [letter.header(f"tracker-source-{name}") or "" for name in ("topic", "partition", "offset")]
    return source[0], int(source[1]), int(source[2])


def differences(
    sent: Mapping[int, Received],
    outcomes: Mapping[int, Outcome],
    letters: Iterable[Received],
    uncut_from: int,
) -> Iterator[str]:
    """Yield a sentence for each difference. From record `uncut_from` on, the topic has its default limit."""
    numbers = {(each.topic, each.kafka_partition, each.offset): number for number, each in sent.items()}
    found: dict[int, list[Received]] = defaultdict(list)
    for letter in letters:
        number = numbers.get(source_of(letter))
        if number is None:
            yield f"a dead letter is of {source_of(letter)}, where no record was sent"
        else:
            found[number].append(letter)
    for number, outcome in outcomes.items():
        wanted, got = outcome.dead_letter, found.pop(number, [])
        if len(got) != (wanted is not None):
            yield f"record {number} has {len(got)} dead letters; wanted: {wanted}"
        elif wanted is not None:
            yield from _difference(number, wanted, got[0], has_default_limit=number >= uncut_from)
    for number in found:
        yield f"record {number} is a dead letter, and has no outcome"


def _difference(
    number: int, wanted: DeadLetter, letter: Received, *, has_default_limit: bool
) -> Iterator[str]:
    own = tuple(header for header in letter.headers if not header[0].startswith("tracker-"))
    reason = letter.header("tracker-error-reason")
    if reason != wanted.reason:
        yield f"record {number}: its dead letter says {reason}, not {wanted.reason}"
    if (letter.key, letter.value, own) == (wanted.key, wanted.value, wanted.headers):
        return
    limit = DEFAULT_LIMIT_BYTES if has_default_limit else SMALL_LIMIT_BYTES
    if _size(wanted) + _OVERHEAD_BYTES <= limit:
        yield f"record {number}: its dead letter of {_size(wanted)} bytes is cut, and its topic takes {limit}"
    key = wanted.key and sha256(wanted.key).hexdigest().encode()
    if own not in ((), wanted.headers) or letter.key not in (wanted.key, key):
        yield f"record {number}: its dead letter has other headers, or another key"
    if not (wanted.value or b"").startswith(letter.value or b""):
        yield f"record {number}: its dead letter has another value"


def _size(letter: DeadLetter) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + headers
