"""Compares the compiled step with the Python of today: what each costs, and what each makes of messages."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from confluent_kafka import Message

from bench.batch_applier import garbage_collected_as_in_a_worker
from bench.errors import WrongResult
from bench.native.decoding import CompiledDecoder, CompiledStep
from bench.native.equality import differing
from bench.native.generated import Generator, rules
from bench.outcome import Case, Metric, Outcome, rounds_text
from bench.peers.environment import Say
from bench.workload import Size, TasksInTurn, Topics, Workload, only_tasks
from tracker.messages.decode import DecodedBatch, Rules, decode_batch

_NOW_MS = 1_700_000_000_000
_BATCH, _BATCHES = 10_000, 5
_TOPICS = Topics.of("bench-native")
_WORKLOADS: Mapping[str, Callable[[Topics, Size], Workload]] = {
    "complete": partial(TasksInTurn, jobs=200),
    "proxied": partial(TasksInTurn, jobs=200, in_progress=True),
    "job-each": only_tasks,
}

_GENERATED_BATCH = 200
_SAY_EVERY_S = 60.0


# What it costs


def measure(step: CompiledStep, rounds: int) -> Outcome:
    """Decode batches of each workload in both ways, in turn.

    :raises WrongResult: both make something different of a batch, or the step leaves a message to Python.
    """
    cases = []
    with garbage_collected_as_in_a_worker():
        for name, make in _WORKLOADS.items():
            python, compiled = _times(step, _batches(make), rounds)
            shares = [one / other for one, other in zip(compiled, python, strict=True)]
            cases.append(
                Case(
                    name,
                    [
                        Metric("python_us", "CPU µs/message: Python", python, "less", None, 2),
                        Metric("compiled_us", "CPU µs/message: compiled step", compiled, "less", None, 2),
                        Metric("share", "compiled, Python = 1", shares, "less", None, 2),
                    ],
                )
            )
    size = f"{_BATCHES} batches of {_BATCH:,} messages, in one process, {rounds_text(rounds)}"
    return Outcome(size=size, cases=cases)


def _batches(make: Callable[[Topics, Size], Workload]) -> list[list[Message]]:
    messages = make(_TOPICS, Size(_BATCH * _BATCHES)).messages()
    records = (Message(topic=_TOPICS.tracking, key=each.key, value=each.value) for each in messages)
    return [list(islice(records, _BATCH)) for _ in range(_BATCHES)]


def _times(
    step: CompiledStep, batches: Sequence[list[Message]], rounds: int
) -> tuple[list[float], list[float]]:
    """Return the CPU time of a message in µs in each round, in Python and with the compiled step."""
    settings = Rules([_TOPICS.tracking], lambda _: None, 1_000_000, 10_000)

    def in_python(batch: list[Message]) -> DecodedBatch:
        return decode_batch(batch, settings, _NOW_MS)

    def compiled(batch: list[Message]) -> DecodedBatch:
        return CompiledDecoder(step, settings, _NOW_MS).decode(batch)

    _require_equal(step, settings, batches)
    found: dict[Callable[[list[Message]], DecodedBatch], list[float]] = {in_python: [], compiled: []}
    for number in range(rounds):
        ways = [in_python, compiled]
        for way in ways if number % 2 == 0 else ways[::-1]:
            spent = 0.0
            for batch in batches:
                began = time.thread_time()
                decoded = way(batch)
                spent += time.thread_time() - began
                del decoded
            found[way].append(spent / (_BATCH * _BATCHES) * 1e6)
    return found[in_python], found[compiled]


def _require_equal(step: CompiledStep, settings: Rules, batches: Sequence[list[Message]]) -> None:
    for batch in batches:
        decoder = CompiledDecoder(step, settings, _NOW_MS)
        if names := differing(decode_batch(batch, settings, _NOW_MS), decoder.decode(batch)):
            raise WrongResult(f"the compiled step makes other {', '.join(names)} of the measured messages")
        if decoder.left:
            raise WrongResult(f"the compiled step leaves {decoder.left} of the measured messages to Python")


# Whether it makes the same of messages


@dataclass
class Compared:
    """How many generated messages were compared, how many of them Python decoded, and how many it refused."""

    messages: int = 0
    left: int = 0
    refused: int = 0

    def __str__(self) -> str:
        step, refused = 1 - self.left / self.messages, self.refused / self.messages
        return (
            f"{self.messages:,} generated messages: both ways make the same of each. The compiled step"
            f" decoded {step:.0%} of them and left the others to Python, which refused {refused:.0%} of all"
        )


def compare(step: CompiledStep, messages: int, seed: int, say: Say) -> Compared:
    """Compare what both ways make of generated messages.

    :raises WrongResult: they make something different of one; the text has it.
    """
    generator, settings, compared = Generator(seed), rules(), Compared()
    say_at = time.monotonic() + _SAY_EVERY_S
    while compared.messages < messages:
        batch = generator.batch(_GENERATED_BATCH)
        decoder = CompiledDecoder(step, settings, _NOW_MS)
        expected, found = decode_batch(batch, settings, _NOW_MS), decoder.decode(batch)
        if names := differing(expected, found):
            raise WrongResult(f"{', '.join(names)} differ: {_culprit(step, settings, batch)}")
        compared.messages += len(batch)
        compared.left += decoder.left
        compared.refused += len(expected.refused)
        if time.monotonic() > say_at:
            say(f"{compared.messages:,} of {messages:,} messages compared ...")
            say_at += _SAY_EVERY_S
    return compared


def _culprit(step: CompiledStep, settings: Rules, batch: list[Message]) -> str:
    """Return a message that differs also alone, if there is one."""
    for record in batch:
        found = CompiledDecoder(step, settings, _NOW_MS).decode([record])
        if differing(decode_batch([record], settings, _NOW_MS), found):
            return f"the message is {record.value()!r}"
    return "but for none of the batch's messages alone"
