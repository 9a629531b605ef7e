"""Where messages may be sent to: the destination is named by whoever may write to a tracking topic."""

import math
import re
import threading
import time
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AclOperation, AdminClient

from tracker.kafka.errors import DestinationNotKnown
from tracker.kafka.topics import Access, access
from tracker.messages.refusal import Reason, Refusal

_LEGAL = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_KNOWN_FOR_S = 60.0  # a topic that was there is asked about again after this long
_UNKNOWN_FOR_S = 2.0  # one that was not, or not ours to write to, may be so at any time
_OLD_FOR_S = 60.0  # by which an answer may be older for a batch that needs many, each asked for by itself
_ASK_TIMEOUT_S = 5.0
_KNOWN_ONLY_BY_TRYING = (KafkaError.TOPIC_EXCEPTION, KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT)


def compile_patterns(patterns: Sequence[str]) -> list[re.Pattern[str]]:
    """Return what the whole name of a topic must match that TRACKER_DESTINATIONS allows."""
    return [re.compile(".*".join(map(re.escape, pattern.split("*")))) for pattern in patterns]


class Destinations:
    """Says whether a topic may be sent to: legal, not the tracker's own, allowed by the operator, and there.

    Any thread may call any method.

    Answers are kept, so that a broker is asked once a minute for each topic; `retry_wait` is called between
    tries while no broker answers, and ends the waiting by raising.
    """

    def __init__(
        self,
        admin: AdminClient,
        own_topics: Sequence[str],
        patterns: Sequence[str],
        retry_wait: Callable[[KafkaException], None],
    ) -> None:
        self._admin = admin
        self._own_topics = frozenset(own_topics)
        self._patterns = compile_patterns(patterns)
        self._retry_wait = retry_wait
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[float, Refusal | None]] = {}

    def refuse(self, topic: str) -> Refusal | None:
        """Return why nothing may be sent to `topic`, or None where it may."""
        now = time.monotonic()
        with self._lock:
            valid_until, answer = self._answers.get(topic, (0.0, None))
        if now < valid_until:
            return answer
        keep_s = _KNOWN_FOR_S
        answer = self._not_allowed(topic)
        if answer is None:
            answer = self._not_there(topic)
            keep_s = _UNKNOWN_FOR_S if answer else _KNOWN_FOR_S
        self._keep(topic, now + keep_s, answer)
        return answer

    def known(self, topic: str) -> Refusal | None:
        """Return the same without asking a broker, for within a database transaction.

        A topic that was there counts as there: that it has gone shows when something is sent to it, and
        `failed` is told. One that was not may be there by now; but that answer may be older than for
        `refuse`: of a hundred that a batch needs, the first would be too old when the last is known.

        :raises DestinationNotKnown: call `refuse`, and begin again.
        """
        with self._lock:
            valid_until, answer = self._answers.get(topic, (-math.inf, None))
        if valid_until == -math.inf or (answer is not None and valid_until + _OLD_FOR_S < time.monotonic()):
            answer = self._not_allowed(topic)
            if answer is None:
                raise DestinationNotKnown(topic)
        return answer

    def used_lately(self) -> list[str]:
        """Return the topics that may be sent to and were asked about lately, the last one last."""
        now = time.monotonic()
        with self._lock:
            return [topic for topic, (until, why) in self._answers.items() if why is None and now < until]

    def _keep(self, topic: str, until_monotonic_s: float, answer: Refusal | None) -> None:
        with self._lock:
            if len(self._answers) > 100_000:
                self._answers.clear()  # someone makes names up: memory stays bounded
            self._answers.pop(topic, None)
            self._answers[topic] = until_monotonic_s, answer

    def failed(self, topic: str, error: KafkaError) -> None:
        """Take notice that `topic` did not take a message: so refuse it, or ask about it anew."""
        if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            # Not every broker says beforehand what one may do.
            self._keep(topic, time.monotonic() + _KNOWN_FOR_S, _no_right(topic))
        elif error.code() in _KNOWN_ONLY_BY_TRYING:
            detail = f"the destination {topic!r} takes no messages: {error.str()}"
            refusal = Refusal(Reason.DESTINATION_NOT_ALLOWED, detail)
            self._keep(topic, time.monotonic() + _KNOWN_FOR_S, refusal)
        else:
            with self._lock:
                self._answers.pop(topic, None)

    def _not_allowed(self, topic: str) -> Refusal | None:
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
        return Refusal(Reason.DESTINATION_NOT_ALLOWED, f"the destination {topic[:250]!r} {why}")

    def _not_there(self, topic: str) -> Refusal | None:
        while True:
            try:
                found = access(self._admin, {topic: AclOperation.WRITE}, _ASK_TIMEOUT_S)[topic]
            except KafkaException as unanswered:
                self._retry_wait(unanswered)
                continue
            if found is Access.NO_RIGHT:
                return _no_right(topic)
            if found is Access.NO_TOPIC:
                return Refusal(Reason.DESTINATION_UNKNOWN, f"the destination {topic!r} does not exist")
            return None


def _no_right(topic: str) -> Refusal:
    return Refusal(Reason.DESTINATION_NOT_ALLOWED, f"the tracker may not write to the destination {topic!r}")
