"""Dead letters: what cannot be honoured goes to a topic of its own, whole, with the reason."""

from collections.abc import Sequence

from confluent_kafka import KafkaError

from tracker.kafka.producer import Headers, OutgoingMessage
from tracker.logs import get_logger
from tracker.messages.refusal import Reason, Refusal, dead_letter_headers, truncated_header
from tracker.settings import Settings

_ENVELOPE_BYTES = 1_024  # what a record's framing takes beyond key, value and headers, generously

log = get_logger()


_TOO_LARGE = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE)


def refusal(topic: str, error: KafkaError) -> Refusal:
    """Return why a topic does not take a message, for the dead letter."""
    reason = Reason.TOO_LARGE if error.code() in _TOO_LARGE else Reason.DESTINATION_NOT_ALLOWED
    return Refusal(reason, f"the destination {topic!r} does not take the message: {error.str()}")


class DeadLetters:
    """Makes dead letters that fit their topic, which takes batches of up to `limit_bytes`."""

    def __init__(self, settings: Settings, limit_bytes: int) -> None:
        self._topic = settings.dead_letter_topic
        self._group_id = settings.group_id
        self._limit_bytes = limit_bytes

    def make(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        why: Refusal,
        source: Sequence[tuple[str, object]],
    ) -> OutgoingMessage:
        """Make the dead letter of a record. `source`: its topic, partition, offset and timestamp."""
        headers = dead_letter_headers(headers, why, [*source, ("group", self._group_id)])
        taken = len(key or b"") + sum(len(name) + len(text or b"") + 10 for name, text in headers)
        room = max(0, self._limit_bytes - taken - _ENVELOPE_BYTES)
        if value is not None and len(value) > room:
            headers.append(truncated_header(len(value)))
            value = value[:room]
        return OutgoingMessage(self._topic, key, value, headers)

    def were_refused(self) -> None:
        """Take notice that their topic refused one: it takes less than it did."""
        self._limit_bytes = max(self._limit_bytes // 2, _ENVELOPE_BYTES)
        log.warning("the dead-letter topic refuses dead letters; they are cut", size_bytes=self._limit_bytes)
