"""What is wrong, and what would be done about it."""

from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from tracker.adoption.survey import Place, SentNumberState, survey, survey_sent_number
from tracker.agreement import Known, disagreement, is_recreated, sent_number_disagreement
from tracker.errors import TrackerError
from tracker.settings import Settings
from tracker.store.connect import connected
from tracker.store.deployment import look_at_deployment
from tracker.store.explain import database_errors
from tracker.store.queries import query

Leader = Literal["database", "kafka"]

ALL = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Change:
    """What is wrong with a place, and what is done about it.

    `offset`: what the group's offset, or the last sent number, becomes; None: it is not committed.
    `in_database`: the database takes it for applied and published. Jobs to be started by records below
    `starts_below` are left to the scheduler.
    """

    place: Place | SentNumberState
    wrong: str
    remedy: str
    offset: int | None
    in_database: bool
    starts_below: int = 0


def plan(settings: Settings, leader: Leader) -> list[Change]:
    """Compare Kafka and the database, and return what would have to be changed; empty where all is well.

    Writes nothing.

    :raises TrackerError: a broker or the database does not answer, the database serves another group, or
        something must be done first.
    """
    database_id = look_at_deployment(settings)
    places, sent_number = survey(settings), survey_sent_number(settings, database_id)
    changes = []
    with database_errors(), connected(settings.database_conninfo()) as connection:
        for place in places:
            wrong = _what_is_wrong(place, database_id)
            if wrong:
                changes.append(_change(connection, place, wrong, leader, database_id))
        wrong = sent_number_disagreement(
            sent_number.committed, sent_number.metadata, sent_number.known, database_id
        )
        if wrong:
            changes.append(_change_of_sent_number(connection, sent_number, wrong, database_id))
    return changes


def _what_is_wrong(place: Place, database_id: str) -> str:
    """Return it in words, or nothing where both sides agree. The rules are those of the workers."""
    if place.log is None:
        return "the topic does not exist any more"
    if is_recreated(place.topic_id, place.known):
        return "the topic was deleted and recreated"
    begin, end = place.log
    wrong = disagreement(place.committed, place.metadata, place.known, database_id, begin)
    if not wrong and place.committed is not None and not begin <= place.committed <= end:
        wrong = f"its offset is {place.committed}, and the topic has only what is from {begin} up to {end}"
    return wrong


def _change(
    connection: psycopg.Connection[Any], place: Place, wrong: str, leader: Leader, database_id: str
) -> Change:
    known = place.known
    if place.log is None:
        starts = _count_starts(connection, place, ALL)
        return Change(place, wrong, f"the database forgets it{_started_again(starts)}", None, True, ALL)
    target = _target(place, leader, database_id)
    anew = is_recreated(place.topic_id, known)
    in_database = anew or known is None or not known.published <= target <= min(known.applied, place.log[1])
    if not anew and in_database and known is not None and target < known.published < known.applied:
        raise TrackerError(
            f"{place.name}: {_span(known.published, known.applied)} are applied and may not be forwarded, and"
            " would not be for jobs that have ended since: first 'tracker adopt database', and 'tracker run'"
            f" until they are forwarded; then set the offset to {target} again"
        )
    # Of an offset that was committed with this database all below it is published; of another, who knows?
    is_trusted = place.metadata == database_id and not anew
    if not in_database:
        starts_below = 0 if is_trusted else target
    else:
        proven = is_trusted and known is not None and (place.committed or 0) >= known.applied
        starts_below = 0 if proven else ALL
    text = [
        _says_target(place, target),
        *_consequences(place, target, leader, in_database=in_database, is_trusted=is_trusted),
    ]
    remedy = ", ".join(text) + _started_again(_count_starts(connection, place, starts_below))
    return Change(place, wrong, remedy, target, in_database, starts_below)


def _target(place: Place, leader: Leader, database_id: str) -> int:
    """Return where the group goes on."""
    assert place.log is not None
    begin, end = place.log
    known, committed = place.known, place.committed
    if leader == "kafka":
        target = begin if committed is None else committed
    elif known is None or is_recreated(place.topic_id, known):
        target = begin
    elif committed is not None and place.metadata == database_id:
        target = min(max(committed, known.published), known.applied)
    else:
        target = known.published
    return min(max(target, begin), end)


def _says_target(place: Place, target: int) -> str:
    return f"the group's offset {'stays' if place.committed == target else 'becomes'} {target}"


def _consequences(
    place: Place, target: int, leader: Leader, *, in_database: bool, is_trusted: bool
) -> list[str]:
    """Say what is done again, and what never."""
    assert place.log is not None
    known, (begin, _) = place.known, place.log
    if known is None:
        if target == begin:
            return ["so that the topic is read from its start, and what was forwarded is forwarded again"]
        return [f"and what is below it in the topic, from {begin} on, is taken for done"]
    if is_recreated(place.topic_id, known):
        text = ["and the topic is read from there"]
        if known.published < known.applied:
            text.append(f"{_span(known.published, known.applied)} of the old one may not have been forwarded")
        return text
    if in_database:
        return _where_the_database_moves(place, known, target)
    text = []
    if target < known.applied:
        text.append(f"{_span(target, known.applied)}, which may have been forwarded, are forwarded again")
    if leader == "database" and is_trusted and place.committed is not None and place.committed > target:
        text.append(f"{_span(target, place.committed)} are reported, and forwarded, again")
    return text


def _where_the_database_moves(place: Place, known: Known, target: int) -> list[str]:
    assert place.log is not None
    if target > known.applied:
        text = [f"{_span(known.applied, target)} are neither reported nor forwarded"]
        if known.published < known.applied:
            text.append(f"nor are {_span(known.published, known.applied)} forwarded if they were not yet")
        return text
    if target == place.log[1]:
        return [f"where the topic ends: what was behind that, up to {known.applied}, is gone from it"]
    return [f"{_span(target, known.applied)} are reported again, and forwarded again for jobs that go on"]


def _change_of_sent_number(
    connection: psycopg.Connection[Any], sent_number: SentNumberState, wrong: str, database_id: str
) -> Change:
    """Numbers mean something to this database only, so it does not matter who leads.

    An earlier copy takes over the numbers that were given since; of those that it does not know to be sent,
    it then knows it.
    """
    last, sent, _ = sent_number.known
    if (
        sent_number.committed is not None
        and sent_number.committed > last
        and sent_number.metadata == database_id
    ):
        remedy = (
            f"the database takes all up to {sent_number.committed} for sent, and sends what it has yet to"
            " send, so that jobs that were started since the copy was made, and held messages that were sent"
            " since, are so again"
        )
        return Change(sent_number, wrong, remedy, sent_number.committed, in_database=True)
    [(unsent,)] = connection.execute(query("count_sends"), {"sent_number": sent}).fetchall()
    remedy = f"it becomes {sent}, and of what may have been sent {unsent:,} messages are sent again"
    return Change(sent_number, wrong, remedy, sent, in_database=False)


def _count_starts(connection: psycopg.Connection[Any], place: Place, below: int) -> int:
    parameters = {"topic": place.topic, "kafka_partition": place.kafka_partition, "below": below}
    [(count,)] = connection.execute(query("count_starts"), parameters).fetchall()
    return int(count)


def _started_again(count: int) -> str:
    return f", {count:,} jobs that it released, and that may have started, are started again" if count else ""


def _span(first: int, behind: int) -> str:
    return f"offsets {first} to {behind - 1}"
