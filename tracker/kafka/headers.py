"""Headers of records that were polled."""

from collections.abc import Sequence
from operator import methodcaller

from confluent_kafka import Message

from tracker.messages.dead_letter import UNREADABLE_HEADERS

# If a header's name is not UTF-8, confluent_kafka sets an error and returns a result all the same. In calls
# that Python has made often, it does not check for that, and the error appears at the next statement. A call
# by methodcaller always checks, and raises a SystemError.
_read_headers = methodcaller("headers")


def replace_unreadable_headers(records: Sequence[Message]) -> None:
    """Replace headers that cannot be read by one that says so.

    Call it once: a second read of such headers finds none at all, without an error. All that read the headers
    of a record later get what is read here.
    """
    for record in records:
        try:
            _read_headers(record)
        except SystemError:
            record.set_headers(UNREADABLE_HEADERS)  # type: ignore[arg-type]
