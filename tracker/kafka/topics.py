"""What the broker says of topics."""

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

_DEFAULT_MAX_MESSAGE_BYTES = 1_048_588  # the broker's default
_TIMEOUT_S = 10.0


def max_message_bytes(admin: AdminClient, topic: str) -> int:
    """Return the largest record batch that a topic takes, in bytes; the default where one may not ask."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    try:
        [answer] = admin.describe_configs([resource], request_timeout=_TIMEOUT_S).values()
        return int(answer.result(timeout=_TIMEOUT_S)["max.message.bytes"].value)
    except (KafkaException, KeyError, ValueError, TimeoutError):
        return _DEFAULT_MAX_MESSAGE_BYTES
