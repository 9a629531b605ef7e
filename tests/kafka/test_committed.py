"""What a group has committed, asked for while its coordinator moves."""

from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tracker.kafka import committed
from tracker.kafka.committed import ask_committed


class MovingCoordinator:
    """Stands for a consumer whose broker gives these answers, and then the offset 7."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)

    def committed(self, wanted: list[TopicPartition], _timeout_s: float) -> list[TopicPartition]:
        if self.codes:
            raise KafkaException(KafkaError(self.codes.pop(0)))
        return [TopicPartition(each.topic, each.partition, 7) for each in wanted]

    def poll(self, _timeout_s: float) -> Any:
        return None


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committed, "_BETWEEN_TRIES_S", 0)


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
    ],
)
def test_a_coordinator_that_moves_is_asked_again(code: int) -> None:
    [found] = ask_committed(cast(Consumer, MovingCoordinator(code, code)), [("topic", 0)])
    assert found.offset == 7


@pytest.mark.parametrize(
    "codes", [[KafkaError.GROUP_AUTHORIZATION_FAILED], [KafkaError.NOT_COORDINATOR] * committed._TRIES]
)
def test_another_answer_or_the_same_for_long_is_an_error(codes: list[int]) -> None:
    with pytest.raises(KafkaException) as caught:
        ask_committed(cast(Consumer, MovingCoordinator(*codes)), [("topic", 0)])
    assert caught.value.args[0].code() == codes[0]
