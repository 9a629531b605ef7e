"""Whether librdkafka's group metadata say that a consumer is a member, in the form that its version gives."""

import uuid
from contextlib import closing

import pytest
from confluent_kafka import Consumer

from tests.support.kafka import MakeTopic, wait_until
from tracker.kafka.membership import is_member


def test_a_member_that_is_assigned_nothing_is_one_too(bootstrap_servers: str, topic: MakeTopic) -> None:
    properties = {
        "bootstrap.servers": bootstrap_servers,
        "group.id": uuid.uuid4().hex,
        "group.protocol": "consumer",
    }
    with closing(Consumer(properties)) as first, closing(Consumer(properties)) as second:
        members = first, second

        def both_joined() -> bool:
            for member in members:
                member.poll(0.1)
            return all(is_member(member.consumer_group_metadata()) for member in members)

        assert not is_member(first.consumer_group_metadata())
        tracking = topic("tracking")
        for member in members:
            member.subscribe([tracking])
        wait_until(both_joined, "both have joined, though there is one Kafka partition")

        def is_assigned() -> bool:
            return both_joined() and sorted(len(member.assignment()) for member in members) == [0, 1]

        wait_until(is_assigned, "one of them has it, and both are members still")


def test_a_form_that_is_not_known_is_no_member() -> None:
    with pytest.raises(Exception, match="unpack_from requires a buffer"):
        is_member(b"")
    assert not is_member(b"CGMDv9:\x01\0\0\0group\0member\0\x01")
