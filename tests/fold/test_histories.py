"""The fold against the naive model, on generated histories.

Where input contradicts itself (a second last child, one beyond the last) what is made of it may depend on
how it is cut into batches, so there the two are compared with one report in each.
"""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.fold.compare import Both
from tests.model.histories import (
    PLANS,
    History,
    Told,
    cut,
    group,
    histories,
    make_tree,
    record_for,
    retellings,
    tell_job,
    write,
)
from tests.model.messages import record_of
from tests.model.poison import POISON
from tests.model.reading import Record
from tests.profile import THOROUGH
from tracker.fold.state import JobStatus

randoms = st.randoms(use_true_random=False)


@given(st.data())
@THOROUGH
def test_any_order_repetition_and_batching_end_as_in_the_model(data: st.DataObject) -> None:
    story = data.draw(histories(["completes", "unfinished"])).story
    both = Both("job")
    for batch in data.draw(retellings(story)):
        both.apply(batch)
        both.compare()


@given(st.data())
@THOROUGH
def test_the_completing_record_is_the_models(data: st.DataObject) -> None:
    history = data.draw(histories(["completes"]))
    story = history.story
    leaves = {write("acme:job", history.tree, leaf).replace("*", "") for leaf in history.tree.leaves()}
    story.body = [
        told for told in story.body if told.kind != "complete" or told.task.replace("*", "") in leaves
    ]
    both = Both("job")
    both.model.create_job("acme", "next", prerequisites=["job"])
    for batch in data.draw(retellings(story)):
        outcomes, done = both.apply(batch)
        released_by = [position for position, outcome in enumerate(outcomes) if outcome.released]
        completed = [fold for fold in done.folds if fold.status is JobStatus.COMPLETED]
        assert [fold.completing_position() for fold in completed] == released_by


@given(histories(), randoms)
@THOROUGH
def test_a_job_that_fails_and_is_repaired_is_as_in_the_model_after_every_batch(
    history: History, random: Random
) -> None:
    both = Both("job")
    story = history.story
    for batch in cut(random, [*story.body, *story.tail], largest=8):
        both.apply([record_for(random, *told) for told in group(random, batch)])
        both.compare()


@given(randoms, st.integers(1, 12))
@THOROUGH
def test_failures_told_by_messages_and_events_are_as_in_the_model(random: Random, size: int) -> None:
    both = Both("job")
    tree = make_tree(random, size, sparse=random.random() < 0.3)
    story = tell_job(random, "acme:job", tree, random.choice(PLANS))
    told = [*story.body, *story.tail]
    for _ in range(random.randint(0, 4)):
        again = random.choice(told) if told else Told("acme:job", "failed")
        kind = random.choice(["failed", "complete"])
        via = random.choice(["event", "proxied"])
        told.insert(random.randint(0, len(told)), Told(again.task, kind, via=via))
    for batch in cut(random, told, largest=8):
        both.apply([record_for(random, *each) for each in group(random, batch)])
        both.compare()


@given(randoms, st.integers(1, 30))
@THOROUGH
def test_whatever_is_told_one_by_one_is_as_in_the_model(random: Random, count: int) -> None:
    both = Both("job")
    for _ in range(count):
        both.apply([record_for(random, anything(random))])
        both.compare()


@given(randoms, st.integers(1, 60))
@THOROUGH
def test_rows_agree_whatever_is_told_in_a_batch(random: Random, count: int) -> None:
    both = Both("job")
    told = [anything(random) for _ in range(count)]
    for batch in cut(random, told, largest=30):
        records = [record_for(random, *each) for each in group(random, batch)]
        for fold in both.fold.apply(records).folds:
            if fold.status is JobStatus.COMPLETED:
                assert 0 <= fold.completing_position() < len(records)
        both.fold.check()
    both.fold.apply([record_for(random, Told("acme:job", "complete"))])
    both.fold.check()


def anything(random: Random) -> Told:
    """Tell anything of any task: contradictory marks, failures of completed tasks, and so on."""
    task = "acme:job"
    for _ in range(random.choice([0, 1, 1, 1, 2, 2, 3])):
        task += f".{random.choice([1, 1, 2, 3, 4096, 4097])}{random.choice(['', '', '*'])}"
    kind = random.choice(["complete", "complete", "complete", "failed", "progress", "retry", "in-progress"])
    if kind == "progress":
        return Told(task, kind, random.choice([0, 1, 50.5, 99.9, 100]))
    if kind == "in-progress":
        return Told(task, kind, via="proxied")
    return Told(task, kind, via=random.choice(["event", "proxied"]))


@given(randoms)
@THOROUGH
def test_many_jobs_commands_and_bad_records_in_one_batch_are_kept_apart(random: Random) -> None:
    jobs = [f"job-{number}" for number in range(random.randint(1, 5))]
    both = Both(*jobs)
    told = []
    for job in jobs:
        tree = make_tree(random, random.randint(1, 10))
        story = tell_job(random, f"acme:{job}", tree, random.choice(["completes", "unfinished"]))
        told += [*story.body, *story.tail]
    random.shuffle(told)
    for batch in cut(random, told, largest=20):
        records = [record_for(random, *each) for each in group(random, batch)]
        for _ in range(random.randint(0, 2)):
            records.insert(random.randint(0, len(records)), bad_record(random))
        if random.random() < 0.2:
            verb = random.choice(["pause", "pause", "resume", "resume", "cancel", "delete"])
            both.command(verb, random.choice(jobs))
        both.apply(records)
        both.compare()


SMALL_POISON = [poison for poison in POISON if len(poison.value or b"") < 2_000]


def bad_record(random: Random) -> Record:
    poison = random.choice(SMALL_POISON)
    return record_of(poison.value, headers=poison.headers)
