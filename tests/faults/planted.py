"""Mistakes to plant into the tracker. A chaos run must find each.

They change functions of the running process, so the program needs no switches for them. Those of the users'
commands are planted into the process of the test itself, which acts for the users.
"""

import functools
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaException

VARIABLE = "PLANTED_BUG"

BUGS: dict[str, Callable[[], None]] = {}
_OF_COMMANDS: set[str] = set()
_changed: list[tuple[Any, str, Any]] = []  # (owner, name, the original)


def plant(name: str) -> None:
    """Plant a mistake into a process of the tracker; none for the empty name, and none of commands."""
    if name and name not in _OF_COMMANDS:
        BUGS[name]()


def plant_in_commands(name: str) -> None:
    """Plant a mistake of commands into this process, until `remove_planted`; none if it is not of these."""
    if name in _OF_COMMANDS:
        BUGS[name]()


def remove_planted() -> None:
    """Undo what was planted into this process."""
    while _changed:
        setattr(*_changed.pop())


def bug(function: Callable[[], None]) -> Callable[[], None]:
    """Register a mistake under its name."""
    BUGS[function.__name__.replace("_", " ")] = function
    return function


def bug_of_commands(function: Callable[[], None]) -> Callable[[], None]:
    """Register a mistake of the users' commands under its name."""
    _OF_COMMANDS.add(function.__name__.replace("_", " "))
    return bug(function)


def change(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a function by the result of `make`, which gets the original."""
    original = getattr(owner, name)
    _changed.append((owner, name, original))
    setattr(owner, name, functools.wraps(original)(make(original)))


def change_statement(name: str, old: str, new: str) -> None:
    """Replace a part of a statement of the users' commands."""
    from psycopg.sql import SQL

    from tracker.store import steps

    def make(original: Any) -> Any:
        def query(wanted: str) -> Any:
            if wanted != name:
                return original(wanted)
            text = original(name).as_string(None)
            assert old in text, f"{name} does not have {old!r}"
            return SQL(text.replace(old, new))

        return query

    change(steps, "query", make)


@bug
def reads_uncommitted_records() -> None:
    from tracker.kafka import consumer

    def make(original: Any) -> Any:
        return lambda *arguments: original(*arguments) | {"isolation.level": "read_uncommitted"}

    change(consumer, "consumer_properties", make)


@bug
def commits_offsets_before_the_database() -> None:
    from tracker.pipeline.poll_loop import PollLoop

    def make(original: Any) -> Any:
        def hand_over(self: Any, batch: Any, *others: Any) -> None:
            offsets = batch.next_offsets()
            with suppress(KafkaException):
                self.consumer.commit(offsets, self._pipeline.database_id)
            original(self, batch, *others)

        return hand_over

    change(PollLoop, "_hand_over", make)  # on the polling thread: on another one the call never returns


@bug
def skips_what_was_seen_before() -> None:
    from tracker.pipeline import apply

    def make(original: Any) -> Any:
        def split_redelivered(*arguments: Any) -> Any:
            old, new = original(*arguments)
            old.decoded.destinations = [None] * len(old.records)
            return old, new

        return split_redelivered

    change(apply, "split_redelivered", make)


@bug
def takes_the_end_of_the_log_for_its_position() -> None:
    """Then it passes not only markers, but also transactions that are still open."""
    from confluent_kafka import TopicPartition

    from tracker.kafka.consumer import BatchConsumer

    def make(original: Any) -> Any:
        def poll(self: Any, *arguments: Any) -> Any:
            batch = original(self, *arguments)
            if batch is None and self.joined and not self.epoch.abandoned:
                for (topic, number), position in self._assignment.positions.items():
                    place = TopicPartition(topic, number)
                    place.offset = self._consumer.get_watermark_offsets(place, cached=True)[1]
                    if place.offset > position:
                        self._seek(place)
            return batch

        return poll

    change(BatchConsumer, "poll", make)


@bug
def passes_markers_without_the_database() -> None:
    from tracker.pipeline.poll_loop import PollLoop

    def make(original: Any) -> Any:
        def pass_markers(self: Any) -> None:
            batch = original(self)
            if batch is not None:
                with suppress(KafkaException):
                    offsets = batch.next_offsets()
                    self.consumer.commit(offsets, self._pipeline.database_id)

        return pass_markers

    change(PollLoop, "_pass_markers", make)


@bug
def takes_group_metadata_too_late() -> None:
    from tracker.kafka.consumer import BatchConsumer
    from tracker.kafka.producer import BatchProducer

    newest: list[Any] = [None]  # from the polling thread: on another one the call never returns

    def keep(original: Any) -> Any:
        def polled(self: Any, *arguments: Any) -> Any:
            newest[0] = self._consumer.consumer_group_metadata()
            return original(self, *arguments)

        return polled

    def make(original: Any) -> Any:
        def retry(self: Any, call: Any, *arguments: Any) -> None:
            if call.__name__ == "send_offsets_to_transaction" and newest[0] is not None:
                offsets, _, timeout_s = arguments
                arguments = offsets, newest[0], timeout_s
            original(self, call, *arguments)

        return retry

    change(BatchConsumer, "poll", keep)
    change(BatchConsumer, "poll_paused", keep)
    change(BatchProducer, "_retry", make)


@bug
def locks_jobs_in_no_order() -> None:
    from tracker.store.batch_store import BatchStore

    def make(original: Any) -> Any:
        def lock_batch_jobs(self: Any, names: Any, may_fail: Any) -> Any:
            found: dict[Any, Any] = {}
            # Not in their order: that is nearly the same in all workers, the order of the messages.
            for name in random.sample(list(names), len(names)):
                found |= original(self, [name], (may_fail or set()) & {name})
                time.sleep(0.03)  # so that two workers meet within a minute
            return found

        return lock_batch_jobs

    change(BatchStore, "lock_batch_jobs", make)


@bug
def clears_the_outbox_before_it_is_published() -> None:
    from tracker.pipeline.apply import Applier

    def make(original: Any) -> Any:
        def release(self: Any, batch: Any, *others: Any) -> Any:
            releases = original(self, batch, *others)
            if releases:
                self._store.clear_outbox(batch.next_offsets())
            return releases

        return release

    change(Applier, "_release", make)


@bug
def forgets_what_it_decided() -> None:
    from tracker.pipeline import apply

    change(apply, "withheld_positions", lambda _original: lambda _records, _applied: set())


@bug
def sends_without_a_sent_number() -> None:
    from tracker.scheduler.scheduler import Scheduler

    def make(original: Any) -> Any:
        def read_sent_number(self: Any) -> int:
            original(self)
            with self._store.transaction():
                _, sent = self._store.lock_send_numbers()
            return int(sent)

        return read_sent_number

    change(Scheduler, "_read_sent_number", make)


@bug
def looks_jobs_up_without_locks() -> None:
    from psycopg.sql import SQL

    from tracker.store import session

    def make(original: Any) -> Any:
        def query(name: str) -> Any:
            text = original(name).as_string(None)
            unlocked = text.replace("FOR NO KEY UPDATE OF job", "")
            return SQL(unlocked) if name.startswith("lock_batch_jobs") else original(name)

        return query

    change(session, "query", make)


@bug
def counts_messages_of_earlier_runs() -> None:
    from tracker.messages import decode, run_marker

    change(decode, "job_key_in", lambda _original: lambda _url: run_marker.NO_MARKER)


@bug
def limits_never_grow() -> None:
    from tracker.kafka.dead_letters import DeadLetters

    def make(original: Any) -> Any:
        def refresh_limits(self: Any) -> None:
            before = self._limit_bytes
            original(self)
            self._limit_bytes = min(self._limit_bytes, before or self._limit_bytes)

        return refresh_limits

    change(DeadLetters, "_refresh_limits", make)


@bug_of_commands
def retries_under_the_same_key() -> None:
    change_statement("retry_jobs", "nextval('job_job_key_seq')", "job_key")


@bug_of_commands
def waits_for_one_prerequisite_after_a_retry() -> None:
    change_statement("retry_jobs", "count(*)::integer AS count", "least(count(*), 1)::integer AS count")


@bug_of_commands
def cancels_one_dependent_of_each() -> None:
    first = """(
            SELECT min(other.job_key) FROM prerequisite AS other
            WHERE other.tenant_key = prerequisite.tenant_key
                AND other.prerequisite_job_id = prerequisite.prerequisite_job_id
        )"""
    change_statement(
        "find_jobs_to_cancel",
        "WHERE NOT cancelled_job.stays",
        f"WHERE NOT cancelled_job.stays AND prerequisite.job_key = {first}",
    )


@bug_of_commands
def changes_what_no_longer_matches() -> None:
    from tracker.job_filter import EVERY_JOB
    from tracker.jobs import matching

    def make(original: Any) -> Any:
        def change_found(verb: Any, found: Any, _wanted: Any, action: Any) -> Any:
            if verb.verb == "pause":
                time.sleep(0.2)  # so that a job ends after it was found
            return original(verb, found, EVERY_JOB, action)

        return change_found

    change(matching, "_change_found", make)


@bug_of_commands
def replays_without_noting_it() -> None:
    from tracker.dead_letters import Replay

    change(Replay, "__call__", lambda original: lambda self, found: original(self, found)[:1])
