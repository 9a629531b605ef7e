"""Compares Kafka and the database: what is wrong, and what would be done about it."""

from dataclasses import dataclass
from typing import Literal

from tracker.adoption.survey import KafkaPartitionState, SentNumberState, survey, survey_sent_number
from tracker.agreement import Known, disagreement, is_recreated, sent_number_disagreement
from tracker.errors import TrackerError
from tracker.settings import Settings
from tracker.store.adoption_store import AdoptionStore, adoption_store
from tracker.store.deployment import read_deployment

Leader = Literal["database", "kafka"]

ALL = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Change:
    """What is wrong with an offset, and what is done about it.

    `offset`: what the group's offset, or the last sent number, becomes; None: it is not committed.
    `in_database`: the database takes it for applied and published. Jobs to be started by records below
    `releases_below` are left to the scheduler.
    """

    state: KafkaPartitionState | SentNumberState
    wrong: str
    remedy: str
    offset: int | None
    in_database: bool
    releases_below: int = 0


def plan(settings: Settings, leader: Leader) -> list[Change]:
    """Compare Kafka and the database, and return the changes that are needed; none if they agree.

    It writes nothing.

    :raises TrackerError: a broker or the database does not answer, the database serves another group, or
        something must be done first.
    """
    database_id = read_deployment(settings)
    states, sent_number = survey(settings), survey_sent_number(settings, database_id)
    changes = []
    with adoption_store(settings.database_conninfo()) as store:
        for state in states:
            wrong = _what_is_wrong(state, database_id)
            if wrong:
                changes.append(_change(store, state, wrong, leader, database_id))
        wrong = sent_number_disagreement(
            sent_number.committed, sent_number.metadata, sent_number.known, database_id
        )
        if wrong:
            changes.append(_change_of_sent_number(store, sent_number, wrong, database_id))
    return changes


def _what_is_wrong(state: KafkaPartitionState, database_id: str) -> str:
    """Return what is wrong in words, or nothing if both sides agree, by the rules of the workers."""
    if state.log is None:
        return "the topic does not exist any more"
    if is_recreated(state.topic_id, state.known):
        return "the topic was deleted and recreated"
    begin, end = state.log
    wrong = disagreement(state.committed, state.metadata, state.known, database_id, begin)
    if not wrong and state.committed is not None and not begin <= state.committed <= end:
        wrong = f"its offset is {state.committed}, and the topic has only what is from {begin} up to {end}"
    return wrong


def _change(
    store: AdoptionStore, state: KafkaPartitionState, wrong: str, leader: Leader, database_id: str
) -> Change:
    known = state.known
    if state.log is None:
        releases = store.count_releases(state.kafka_partition, ALL)
        return Change(state, wrong, f"the database forgets it{_started_again(releases)}", None, True, ALL)
    target = _target(state, leader, database_id)
    recreated = is_recreated(state.topic_id, known)
    moves = known is None or not known.published <= target <= min(known.applied, state.log[1])
    in_database = recreated or moves
    if not recreated and in_database and known is not None and target < known.published < known.applied:
        raise TrackerError(
            f"{state.name}: {_span(known.published, known.applied)} are applied and may not be forwarded, and"
            " would not be for jobs that have ended since: first 'tracker adopt database', and 'tracker run'"
            f" until they are forwarded; then set the offset to {target} again"
        )
    # All below an offset that was committed with this database is published; of others it is not known.
    is_trusted = state.metadata == database_id and not recreated
    if not in_database:
        releases_below = 0 if is_trusted else target
    else:
        proven = is_trusted and known is not None and (state.committed or 0) >= known.applied
        releases_below = 0 if proven else ALL
    text = [
        _says_target(state, target),
        *_consequences(state, target, leader, in_database=in_database, is_trusted=is_trusted),
    ]
    remedy = ", ".join(text) + _started_again(store.count_releases(state.kafka_partition, releases_below))
    return Change(state, wrong, remedy, target, in_database, releases_below)


def _target(state: KafkaPartitionState, leader: Leader, database_id: str) -> int:
    """Return the offset from which the group continues."""
    assert state.log is not None
    begin, end = state.log
    known, committed = state.known, state.committed
    if leader == "kafka":
        target = begin if committed is None else committed
    elif known is None or is_recreated(state.topic_id, known):
        target = begin
    elif committed is not None and state.metadata == database_id:
        target = min(max(committed, known.published), known.applied)
    else:
        target = known.published
    return min(max(target, begin), end)


def _says_target(state: KafkaPartitionState, target: int) -> str:
    return f"the group's offset {'stays' if state.committed == target else 'becomes'} {target}"


def _consequences(
    state: KafkaPartitionState, target: int, leader: Leader, *, in_database: bool, is_trusted: bool
) -> list[str]:
    """Say what is done again, and what is never done."""
    assert state.log is not None
    known, (begin, _) = state.known, state.log
    if known is None:
        if target == begin:
            return ["so that the topic is read from its start, and what was forwarded is forwarded again"]
        return [f"and what is below it in the topic, from {begin} on, counts as done"]
    if is_recreated(state.topic_id, known):
        text = ["and the topic is read from there"]
        if known.published < known.applied:
            text.append(f"{_span(known.published, known.applied)} of the old one may not have been forwarded")
        return text
    if in_database:
        return _where_the_database_moves(state, known, target)
    text = []
    if target < known.applied:
        text.append(f"{_span(target, known.applied)}, which may have been forwarded, are forwarded again")
    if leader == "database" and is_trusted and state.committed is not None and state.committed > target:
        text.append(f"{_span(target, state.committed)} are reported, and forwarded, again")
    return text


def _where_the_database_moves(state: KafkaPartitionState, known: Known, target: int) -> list[str]:
    assert state.log is not None
    if target > known.applied:
        text = [f"{_span(known.applied, target)} are neither reported nor forwarded"]
        if known.published < known.applied:
            text.append(f"nor are {_span(known.published, known.applied)} forwarded if they were not yet")
        return text
    if target == state.log[1]:
        return [f"where the topic ends: what came after that, up to {known.applied}, is gone from it"]
    span = _span(target, known.applied)
    return [f"{span} are reported again, and forwarded again for jobs that have not ended"]


def _change_of_sent_number(
    store: AdoptionStore, sent_number: SentNumberState, wrong: str, database_id: str
) -> Change:
    """Return the change, which does not depend on the leader: only this database knows what its numbers mean.

    An earlier copy takes over the numbers that were given after it was made, and takes them as sent.
    """
    last, sent, _ = sent_number.known
    if (
        sent_number.committed is not None
        and sent_number.committed > last
        and sent_number.metadata == database_id
    ):
        remedy = (
            f"the database takes everything up to {sent_number.committed} as sent, and sends what it has not"
            " sent yet: jobs that were started after the copy was made, and held messages that were sent"
            " after that, are sent again"
        )
        return Change(sent_number, wrong, remedy, sent_number.committed, in_database=True)
    unsent = store.count_unsent(sent)
    remedy = f"it becomes {sent}, and of what may have been sent {unsent:,} messages are sent again"
    return Change(sent_number, wrong, remedy, sent, in_database=False)


def _started_again(count: int) -> str:
    return f", {count:,} jobs that it released, and that may have started, are started again" if count else ""


def _span(first: int, end: int) -> str:
    return f"offsets {first} to {end - 1}"
