"""The fold against the naive model, on generated histories.

Where input contradicts itself (a second last child, one beyond the last) what is made of it may depend on
how it is cut into batches, so there the two are compared with one report in each.
"""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.fold.compare import Both
from tests.support.messages import record_of
from tests.support.model.histories import History, histories, permutations
from tests.support.model.poison import POISON
from tests.support.model.scripts import PLANS, Step, cut, group, make_script, record_for, task_name
from tests.support.model.task_trees import make_tree
from tests.support.profile import THOROUGH
from tests.support.records import Record
from tracker.job_status import JobStatus

randoms = st.randoms(use_true_random=False)


@given(st.data())
@THOROUGH
def test_any_order_repetition_and_batching_end_as_in_the_model(data: st.DataObject) -> None:
    script = data.draw(histories(["completes", "unfinished"])).script
    both = Both("job")
    for batch in data.draw(permutations(script)):
        both.apply(batch)
        both.compare()


@given(st.data())
@THOROUGH
def test_the_completing_record_is_the_models(data: st.DataObject) -> None:
    history = data.draw(histories(["completes"]))
    script = history.script
    leaves = {task_name("acme:job", history.tree, leaf).replace("*", "") for leaf in history.tree.leaves()}
    script.body = [
        step for step in script.body if step.kind != "complete" or step.task.replace("*", "") in leaves
    ]
    both = Both("job")
    both.model.create_job("acme", "next", prerequisites=["job"])
    for batch in data.draw(permutations(script)):
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
    script = history.script
    for batch in cut(random, [*script.body, *script.tail], largest=8):
        both.apply([record_for(random, *steps) for steps in group(random, batch)])
        both.compare()


@given(randoms, st.integers(1, 12))
@THOROUGH
def test_failures_in_messages_and_events_are_as_in_the_model(random: Random, size: int) -> None:
    both = Both("job")
    tree = make_tree(random, size, sparse=random.random() < 0.3)
    script = make_script(random, "acme:job", tree, random.choice(PLANS))
    steps = [*script.body, *script.tail]
    for _ in range(random.randint(0, 4)):
        again = random.choice(steps) if steps else Step("acme:job", "failed")
        kind = random.choice(["failed", "complete"])
        via = random.choice(["event", "proxied"])
        steps.insert(random.randint(0, len(steps)), Step(again.task, kind, via=via))
    for batch in cut(random, steps, largest=8):
        both.apply([record_for(random, *each) for each in group(random, batch)])
        both.compare()


@given(randoms, st.integers(1, 30))
@THOROUGH
def test_any_steps_one_by_one_are_as_in_the_model(random: Random, count: int) -> None:
    both = Both("job")
    for _ in range(count):
        both.apply([record_for(random, any_step(random))])
        both.compare()


@given(randoms, st.integers(1, 60))
@THOROUGH
def test_rows_agree_after_any_batch(random: Random, count: int) -> None:
    both = Both("job")
    steps = [any_step(random) for _ in range(count)]
    for batch in cut(random, steps, largest=30):
        records = [record_for(random, *each) for each in group(random, batch)]
        for fold in both.fold.apply(records).folds:
            if fold.status is JobStatus.COMPLETED:
                assert 0 <= fold.completing_position() < len(records)
        both.fold.check()
    both.fold.apply([record_for(random, Step("acme:job", "complete"))])
    both.fold.check()


def any_step(random: Random) -> Step:
    """Make any step on any task: contradictory marks, failures of completed tasks, and so on."""
    task = "acme:job"
    for _ in range(random.choice([0, 1, 1, 1, 2, 2, 3])):
        task += f".{random.choice([1, 1, 2, 3, 4096, 4097])}{random.choice(['', '', '*'])}"
    kind = random.choice(["complete", "complete", "complete", "failed", "progress", "retry", "in-progress"])
    if kind == "progress":
        return Step(task, kind, random.choice([0, 1, 50.5, 99.9, 100]))
    if kind == "in-progress":
        return Step(task, kind, via="proxied")
    return Step(task, kind, via=random.choice(["event", "proxied"]))


@given(randoms)
@THOROUGH
def test_many_jobs_commands_and_bad_records_in_one_batch_are_kept_apart(random: Random) -> None:
    jobs = [f"job-{number}" for number in range(random.randint(1, 5))]
    both = Both(*jobs)
    steps = []
    for job in jobs:
        tree = make_tree(random, random.randint(1, 10))
        script = make_script(random, f"acme:{job}", tree, random.choice(["completes", "unfinished"]))
        steps += [*script.body, *script.tail]
    random.shuffle(steps)
    for batch in cut(random, steps, largest=20):
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
