"""Decodes records as a worker does, with the settings that the list of bad input is written for."""

from collections.abc import Sequence

from tests.support.model.poison import KNOWN_TOPICS, TRACKING_TOPICS
from tests.support.model.reading import Bad, check_destination
from tests.support.model.reading import Rules as ModelRules
from tests.support.records import Record
from tracker.messages.decode import DecodedBatch, Rules, decode_batch
from tracker.messages.refusal import Reason, Refusal

NOW_MS = 1_700_000_000_000
MODEL_RULES = ModelRules(TRACKING_TOPICS, known_topics=KNOWN_TOPICS)


class KafkaRecord:
    """A record as confluent_kafka hands it over."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def topic(self) -> str:
        return self._record.topic

    def value(self) -> bytes | None:
        return self._record.value

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        return list(self._record.headers) or None


def rules_with(model_rules: ModelRules) -> Rules:
    """Return rules that refuse the same destinations as the model does with its rules."""

    def refuse_destination(topic: str) -> Refusal | None:
        try:
            check_destination(topic, model_rules)
        except Bad as bad:
            return Refusal(Reason(bad.reason), "not there")
        return None

    return Rules(model_rules.tracking_topics, refuse_destination, 1_000_000, 10_000)


RULES = rules_with(MODEL_RULES)


def decode(records: Sequence[Record], rules: Rules = RULES) -> DecodedBatch:
    return decode_batch([KafkaRecord(record) for record in records], rules, NOW_MS)


def reasons(batch: DecodedBatch) -> dict[int, str]:
    """Return why each refused record was, by position."""
    assert len(dict(batch.refused)) == len(batch.refused)
    return {position: refused.reason.value for position, refused in batch.refused}
