"""What the brokers allow a client to ask for, and what to say if the tracker asks for more."""

import sys
from collections.abc import Iterator
from typing import Literal, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ResourceType

from tracker.kafka.answers import answer_of, config_of
from tracker.kafka.errors import reason_of
from tracker.kafka.membership import is_classic
from tracker.settings import Settings
from tracker.settings.kafka import PREFIX

# What the tracker's clients ask for, unless the user or a broker's limit says something else.
TRANSACTION_TIMEOUT_MS = 30_000
SESSION_TIMEOUT_MS = 20_000

_MIN_TRANSACTION_TIMEOUT_MS = 1_000  # librdkafka's
_TIMEOUT_S = 5.0
_GROUP_IS_FULL = KafkaError(KafkaError.GROUP_MAX_SIZE_REACHED).str()


class BrokerLimits(NamedTuple):
    """The limits of one broker, which is taken to speak for all; the defaults are no limits."""

    transaction_ms: int = sys.maxsize
    least_session_ms: int = 0
    most_session_ms: int = sys.maxsize

    def session_timeout_ms(self) -> int:
        """Return the tracker's default, or the allowed value that is nearest to it."""
        return max(min(SESSION_TIMEOUT_MS, self.most_session_ms), self.least_session_ms)

    def allow_session(self, timeout_ms: int) -> bool:
        """Return whether a session may have this time-out."""
        return self.least_session_ms <= timeout_ms <= self.most_session_ms


NO_LIMITS = BrokerLimits()


def broker_limits(admin: AdminClient) -> BrokerLimits:
    """Ask a broker for its limits; `NO_LIMITS` if the user may not ask, or no broker answers."""
    try:
        nodes = answer_of(admin.describe_cluster(request_timeout=_TIMEOUT_S), _TIMEOUT_S).nodes
    except KafkaException:
        return NO_LIMITS
    return limits_in(broker_numbers(admin, nodes[0].id)) if nodes else NO_LIMITS


def limits_in(numbers: dict[str, int]) -> BrokerLimits:
    """Pick the limits from a broker's settings."""
    return BrokerLimits(
        numbers.get("transaction.max.timeout.ms", NO_LIMITS.transaction_ms),
        numbers.get("group.min.session.timeout.ms", NO_LIMITS.least_session_ms),
        numbers.get("group.max.session.timeout.ms", NO_LIMITS.most_session_ms),
    )


def broker_numbers(admin: AdminClient, broker_id: int) -> dict[str, int]:
    """Return the numbers among the settings of a broker; nothing if the user may not ask."""
    return _numbers(admin, ResourceType.BROKER, str(broker_id))


def topic_numbers(admin: AdminClient, topic: str) -> dict[str, int]:
    """Return the numbers among the settings of a topic; nothing if the user may not ask."""
    return _numbers(admin, ResourceType.TOPIC, topic)


def _numbers(admin: AdminClient, kind: ResourceType, name: str) -> dict[str, int]:
    found = config_of(admin, kind, name)
    return {key: int(text) for key, text in found.items() if text.isdecimal()}


def users_transaction_timeout(settings: Settings) -> int | None:
    """Return the time-out of transactions that the user has set, None if the user has set none."""
    text = settings.producer_properties().get("transaction.timeout.ms")
    return None if text is None else int(text)


def users_session_timeout(settings: Settings) -> int | None:
    """Return the time-out of sessions that the user has set, None if the user has set none."""
    text = settings.consumer_properties().get("session.timeout.ms")
    return None if text is None else int(text)


def session_warnings(settings: Settings, limits: BrokerLimits) -> Iterator[str]:
    """Yield sentences if the brokers do not allow the tracker's default session time-out."""
    allowed_ms = limits.session_timeout_ms()
    if users_session_timeout(settings) is None and allowed_ms != SESSION_TIMEOUT_MS:
        yield (
            f"the brokers allow sessions of {_range(limits)} (group.min.session.timeout.ms,"
            f" group.max.session.timeout.ms): the tracker asks for {allowed_ms} ms instead of its default of"
            f" {SESSION_TIMEOUT_MS}"
        )
        heartbeat_ms = int(settings.consumer_properties().get("heartbeat.interval.ms", 0))
        if 3 * heartbeat_ms > allowed_ms:
            variable = variable_of(settings, "consumer", "heartbeat.interval.ms")
            most_ms = allowed_ms // 3
            yield f"{variable} is {heartbeat_ms}: set at most {most_ms}, a third of the session's time-out"


def transaction_warnings(settings: Settings, limits: BrokerLimits) -> Iterator[str]:
    """Yield a sentence if the brokers do not allow the tracker's default transaction time-out."""
    if users_transaction_timeout(settings) is None and limits.transaction_ms < TRANSACTION_TIMEOUT_MS:
        yield (
            f"the brokers allow transactions of {limits.transaction_ms} ms (transaction.max.timeout.ms):"
            f" the tracker asks for that instead of its default of {TRANSACTION_TIMEOUT_MS}"
        )


def session_problem(settings: Settings, limits: BrokerLimits) -> str:
    """Return a sentence: the brokers do not allow such a session, and what to set."""
    variable = variable_of(settings, "consumer", "session.timeout.ms")
    users_ms = users_session_timeout(settings)
    asked_ms = limits.session_timeout_ms() if users_ms is None else users_ms
    if limits.allow_session(asked_ms):  # the limits are not known
        allowed, to_set = "do not allow sessions", "to what they allow"
    else:
        allowed = f"allow sessions of {_range(limits)}"
        to_set = f"to {min(max(asked_ms, limits.least_session_ms), limits.most_session_ms)}"
    return (
        f"the brokers {allowed} (group.min.session.timeout.ms, group.max.session.timeout.ms), and the tracker"
        f" asks for {asked_ms} ms: set {variable} {to_set}, or change the limit"
    )


def transaction_problem(settings: Settings, limits: BrokerLimits, asked_ms: int) -> str:
    """Return a sentence: the brokers do not allow such transactions, and what to set."""
    variable = variable_of(settings, "producer", "transaction.timeout.ms")
    if limits.transaction_ms == NO_LIMITS.transaction_ms:
        allowed, to_set = "do not allow transactions of that length", "to less"
    else:
        allowed = f"allow transactions of {limits.transaction_ms} ms"
        to_set = f"to {limits.transaction_ms}"
    return (
        f"the brokers {allowed} (transaction.max.timeout.ms), and the tracker asks for {asked_ms} ms:"
        f" set {variable} {to_set}, or raise the limit"
    )


def explain_to_consumer(settings: Settings, limits: BrokerLimits, error: KafkaError) -> str:
    """Return what a consumer's error means; if a limit is the cause, also what to set."""
    # With the newer group protocol this is a fatal error; only its text says which.
    if error.code() == KafkaError.GROUP_MAX_SIZE_REACHED or _GROUP_IS_FULL in error.str():
        return (
            f"the group {settings.group_id!r} has as many members as the brokers allow"
            f" ({group_size_limit(settings)}): set TRACKER_WORKERS so that all workers together are not more,"
            " or raise the limit"
        )
    if error.code() == KafkaError.INVALID_SESSION_TIMEOUT:
        return session_problem(settings, limits)
    return reason_of(error)


def group_size_limit(settings: Settings) -> str:
    """Return the name of the brokers' setting that limits the members of a group."""
    return "group.max.size" if is_classic(settings) else "group.consumer.max.size"


def shorter_transactions(settings: Settings, refused_ms: int, limits: BrokerLimits) -> int:
    """Return the time-out to try after one was refused: the limit, or half of it if no limit is known.

    :raises KafkaException: the user has set the time-out, or there is no shorter one.
    """
    shorter = limits.transaction_ms if limits.transaction_ms < refused_ms else refused_ms // 2
    shorter = max(shorter, _MIN_TRANSACTION_TIMEOUT_MS)
    if users_transaction_timeout(settings) is not None or shorter == refused_ms:
        reason = transaction_problem(settings, limits, refused_ms)
        raise KafkaException(KafkaError(KafkaError.INVALID_TRANSACTION_TIMEOUT, reason))
    return shorter


def variable_of(settings: Settings, client: Literal["consumer", "producer"], name: str) -> str:
    """Return the variable that sets a property of a kind of client, or that would set it."""
    variables = {item.side: item.variable for item in settings.kafka if item.name == name}
    own = f"{PREFIX}{client.upper()}_{name.upper().replace('.', '_')}"
    return variables.get(client) or variables.get("common") or own


def _range(limits: BrokerLimits) -> str:
    return f"{limits.least_session_ms} to {limits.most_session_ms} ms"
