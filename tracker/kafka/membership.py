"""The group's protocol, and whether this process is a member, where librdkafka does not say it."""

import time
from concurrent.futures import Future
from typing import Any

from confluent_kafka.admin import AdminClient

from tracker.settings import Settings

_AGAIN_S = 1.0
_TIMEOUT_S = 5.0


def is_classic(settings: Settings) -> bool:
    """Tell whether the group has Kafka's older protocol, in which members are static."""
    return settings.consumer_properties().get("group.protocol", "classic") != "consumer"


class Membership:
    """Asks the group's coordinator who is in the group, without waiting for the answer.

    A member is told what it is assigned, with the classic protocol also that it is nothing. With the protocol
    `consumer` librdkafka (2.16) says nothing to a member that has joined and is assigned no Kafka partition.
    """

    def __init__(self, admin: AdminClient, group_id: str) -> None:
        self._admin = admin
        self._group_id = group_id
        self._asked: Future[Any] | None = None
        self._next_monotonic_s = 0.0

    def has(self, member_id: str | None) -> bool:
        """Return whether the last answer named this member; ask again every second."""
        found = False
        if self._asked is not None and self._asked.done():
            if self._asked.exception() is None:
                found = member_id in {member.member_id for member in self._asked.result().members}
            self._asked = None
        if self._asked is None and time.monotonic() >= self._next_monotonic_s:
            self._next_monotonic_s = time.monotonic() + _AGAIN_S
            answers = self._admin.describe_consumer_groups([self._group_id], request_timeout=_TIMEOUT_S)
            self._asked = answers[self._group_id]
        return found
