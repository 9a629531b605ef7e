"""How thorough tests are, and with what: variables that are not the program's.

EXAMPLES_FACTOR=20: Hypothesis looks twenty times as long as every day.
GROUP_PROTOCOL=consumer: workers use Kafka's newer group protocol.
"""

import os

from hypothesis import settings

FACTOR = int(os.environ.get("EXAMPLES_FACTOR", "1"))

THOROUGH = settings(max_examples=100 * FACTOR, deadline=None, print_blob=True)

GROUP_PROTOCOL = os.environ.get("GROUP_PROTOCOL", "classic")
PROTOCOL_VARIABLE = "TRACKER_KAFKA_CONSUMER_GROUP_PROTOCOL"


def member_settings(protocol: str, **classic: str) -> dict[str, str]:
    """Return the settings of workers; what is `classic` is the brokers' to decide with the newer protocol."""
    return (
        {f"TRACKER_KAFKA_CONSUMER_{name}": value for name, value in classic.items()}
        if protocol == "classic"
        else {PROTOCOL_VARIABLE: protocol}
    )
