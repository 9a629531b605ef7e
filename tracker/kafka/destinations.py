"""Where messages may be sent to. Anyone who may write to a tracking topic can name a destination."""

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
_KNOWN_FOR_S = 60.0  # how long the answer counts that a topic exists
_UNKNOWN_FOR_S = 2.0  # a missing topic, or a missing right, may be created at any time
_OLD_FOR_S = 60.0  # how much older an answer may be for a batch that needs many, each asked for by itself
_ASK_TIMEOUT_S = 5.0
_KNOWN_ONLY_BY_TRYING = (KafkaError.TOPIC_EXCEPTION, KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT)


def compile_patterns(patterns: Sequence[str]) -> list[re.Pattern[str]]:
    """Return what the whole name of a topic must match, one for each pattern of TRACKER_DESTINATIONS."""
    return [re.compile(".*".join(map(re.escape, pattern.split("*")))) for pattern in patterns]


class Destinations:
    """Decides whether a topic may be sent to: it is legal, not the tracker's own, allowed, and exists.

    Any thread may call any method.

    Answers are kept, so that a broker is asked once a minute for each topic. While no broker answers,
    `wait_for_broker` is called between tries; it raises to end the wait.
    """

    def __init__(
        self,
        admin: AdminClient,
        own_topics: Sequence[str],
        patterns: Sequence[str],
        wait_for_broker: Callable[[KafkaException], None],
    ) -> None:
        self._admin = admin
        self._own_topics = frozenset(own_topics)
        self._patterns = compile_patterns(patterns)
        self._wait_for_broker = wait_for_broker
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[float, Refusal | None]] = {}

    def find_refusal(self, topic: str) -> Refusal | None:
        """Return why nothing may be sent to `topic`; None: it may."""
        now = time.monotonic()
        with self._lock:
            valid_until, answer = self._answers.get(topic, (0.0, None))
        if now < valid_until:
            return answer
        keep_s = _KNOWN_FOR_S
        answer = self._find_disallowed(topic)
        if answer is None:
            answer = self._find_missing(topic)
            keep_s = _UNKNOWN_FOR_S if answer else _KNOWN_FOR_S
        self._keep(topic, now + keep_s, answer)
        return answer

    def known_refusal(self, topic: str) -> Refusal | None:
        """Return the same without asking a broker, for use within a database transaction.

        A topic that existed counts as existing: if it has gone, that shows when something is sent to it, and
        `record_failure` is called. A topic that did not exist may exist by now. That answer may be older than
        for `find_refusal`: if a batch needs a hundred answers, the first would be too old when the last
        comes.

        :raises DestinationNotKnown: call `find_refusal`, and begin again.
        """
        with self._lock:
            valid_until, answer = self._answers.get(topic, (-math.inf, None))
        if valid_until == -math.inf or (answer is not None and valid_until + _OLD_FOR_S < time.monotonic()):
            answer = self._find_disallowed(topic)
            if answer is None:
                raise DestinationNotKnown(topic)
        return answer

    def used_lately(self) -> list[str]:
        """Return the topics that may be sent to and were asked about recently, the last one last."""
        now = time.monotonic()
        with self._lock:
            return [
                topic for topic, (until, refusal) in self._answers.items() if refusal is None and now < until
            ]

    def _keep(self, topic: str, until_monotonic_s: float, answer: Refusal | None) -> None:
        with self._lock:
            if len(self._answers) > 100_000:
                self._answers.clear()  # someone invents names: memory stays bounded
            self._answers.pop(topic, None)
            self._answers[topic] = until_monotonic_s, answer

    def record_failure(self, topic: str, error: KafkaError) -> None:
        """Refuse a topic that did not take a message, or ask about it again."""
        if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            # Some brokers do not say beforehand which operations are allowed.
            self._keep(topic, time.monotonic() + _KNOWN_FOR_S, _no_right(topic))
        elif error.code() in _KNOWN_ONLY_BY_TRYING:
            detail = f"the destination {topic!r} takes no messages: {error.str()}"
            refusal = Refusal(Reason.DESTINATION_NOT_ALLOWED, detail)
            self._keep(topic, time.monotonic() + _KNOWN_FOR_S, refusal)
        else:
            with self._lock:
                self._answers.pop(topic, None)

    def _find_disallowed(self, topic: str) -> Refusal | None:
        problem = None
        if not _LEGAL.fullmatch(topic) or topic in (".", ".."):
            problem = "is not a legal topic name"
        elif topic.startswith("__"):
            problem = "is internal to Kafka"
        elif topic in self._own_topics:
            problem = "is the tracker's own"
        elif self._patterns and not any(pattern.fullmatch(topic) for pattern in self._patterns):
            problem = "matches none of TRACKER_DESTINATIONS"
        if problem is None:
            return None
        return Refusal(Reason.DESTINATION_NOT_ALLOWED, f"the destination {topic[:250]!r} {problem}")

    def _find_missing(self, topic: str) -> Refusal | None:
        while True:
            try:
                found = access(self._admin, {topic: AclOperation.WRITE}, _ASK_TIMEOUT_S)[topic]
            except KafkaException as unanswered:
                self._wait_for_broker(unanswered)
                continue
            if found is Access.NO_RIGHT:
                return _no_right(topic)
            if found is Access.NO_TOPIC:
                return Refusal(Reason.DESTINATION_UNKNOWN, f"the destination {topic!r} does not exist")
            return None


def _no_right(topic: str) -> Refusal:
    return Refusal(Reason.DESTINATION_NOT_ALLOWED, f"the tracker may not write to the destination {topic!r}")
