"""Where messages may be sent to: the destination is named by whoever may write to a tracking topic."""

import re
import time
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from tracker.logs import kafka_logger
from tracker.messages.refusal import Reason, Refused

_LEGAL = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_KNOWN_FOR_S = 60.0  # a topic that was there is asked about again after this long
_UNKNOWN_FOR_S = 2.0  # one that was not may be made at any time
_ASK_TIMEOUT_S = 5.0
_NOT_THERE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.TOPIC_EXCEPTION)
_ABSENT = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)


class Destinations:
    """Says whether a topic may be sent to: legal, not the tracker's own, allowed by the operator, and there.

    Answers are kept, so that a broker is asked once a minute for each topic; `retry_wait` is called between
    tries while no broker answers, and ends the waiting by raising.
    """

    def __init__(
        self,
        properties: Mapping[str, str],
        own_topics: Sequence[str],
        patterns: Sequence[str],
        retry_wait: Callable[[KafkaException], None],
    ) -> None:
        self._admin = AdminClient(dict(properties), logger=kafka_logger())
        self._own_topics = frozenset(own_topics)
        self._patterns = [re.compile(".*".join(map(re.escape, pattern.split("*")))) for pattern in patterns]
        self._retry_wait = retry_wait
        self._answers: dict[str, tuple[float, Refused | None]] = {}

    def refuse(self, topic: str) -> Refused | None:
        """Return why nothing may be sent to `topic`, or None where it may."""
        now = time.monotonic()
        valid_until, answer = self._answers.get(topic, (0.0, None))
        if now < valid_until:
            return answer
        answer = self._not_allowed(topic) or self._not_there(topic)
        keep_s = _UNKNOWN_FOR_S if answer and answer.reason is Reason.DESTINATION_UNKNOWN else _KNOWN_FOR_S
        if len(self._answers) > 100_000:
            self._answers.clear()  # someone makes names up: memory stays bounded
        self._answers[topic] = (now + keep_s, answer)
        return answer

    def forget(self, topic: str) -> None:
        """Ask about `topic` anew: sending to it has failed."""
        self._answers.pop(topic, None)

    def _not_allowed(self, topic: str) -> Refused | None:
        why = None
        if not _LEGAL.fullmatch(topic) or topic in (".", ".."):
            why = "is not a legal topic name"
        elif topic.startswith("__"):
            why = "is internal to Kafka"
        elif topic in self._own_topics:
            why = "is the tracker's own"
        elif self._patterns and not any(pattern.fullmatch(topic) for pattern in self._patterns):
            why = "matches none of TRACKER_DESTINATIONS"
        if why is None:
            return None
        return Refused(Reason.DESTINATION_NOT_ALLOWED, f"the destination {topic[:250]!r} {why}")

    def _not_there(self, topic: str) -> Refused | None:
        while True:
            try:
                found = self._admin.list_topics(topic, timeout=_ASK_TIMEOUT_S).topics.get(topic)
            except KafkaException as unanswered:
                self._retry_wait(unanswered)
                continue
            error: KafkaError | None = found.error if found is not None else _ABSENT
            if error is None:
                return None
            if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                return Refused(
                    Reason.DESTINATION_NOT_ALLOWED, f"the tracker may not write to the destination {topic!r}"
                )
            if error.code() in _NOT_THERE:
                return Refused(Reason.DESTINATION_UNKNOWN, f"the destination {topic!r} does not exist")
            self._retry_wait(KafkaException(error))
