"""Messages of a job's earlier runs count for nothing, however they are mixed with others."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.fold.compare import Both
from tests.fold.found_jobs import found_jobs
from tests.fold.trackers import JOB
from tests.support.decoding import decode
from tests.support.messages import STATUS_CHECK_URL, record_of, report, task_message, tracking_report
from tests.support.model.histories import History, histories
from tests.support.model.scripts import Step, cut, group, record_for
from tests.support.profile import THOROUGH
from tests.support.records import Record
from tracker.fold.decide import decide, decide_redelivered
from tracker.fold.state import JobState
from tracker.job_status import JobStatus
from tracker.metrics import DROPS

PRESENT, EARLIER = (f"{STATUS_CHECK_URL}?run={marker}" for marker in ("1", "9"))
STALE = (EARLIER, f"{STATUS_CHECK_URL}?run=01", "/status?run=zzzzzzzzzzzzz")
COUNTS = (
    PRESENT,
    None,
    "",
    STATUS_CHECK_URL,
    f"{EARLIER}/",
    "http://x/status?run=A",
    f"{EARLIER}0000000000000",
)


def message(task: str, url: str | None, to: str | None = "worker-out", status: str = "NEW_TASK") -> Record:
    return record_of(task_message(task, to=to, status=status, status_check_url=url))


def test_messages_of_an_earlier_run_are_dropped_and_report_nothing() -> None:
    stale = [
        message("acme:job.1*", EARLIER),
        message("acme:job", EARLIER),
        message("acme:job.2", EARLIER, to="worker-in"),
        message("acme:job", EARLIER, to="worker-in"),
        message("acme:job.3", EARLIER, status="INVALID_TASK"),
        message("acme:job.4", EARLIER, to="worker-in", status="RESULT_MAYBE"),
        message("acme:job.5.1*", EARLIER),
    ]
    for status in JobStatus:
        batch = decode(stale)
        decisions = decide(batch, found_jobs(status))
        assert batch.destinations == [None] * len(stale)
        assert decisions.dropped == {"stale": len(stale)}
        assert decisions.withheld == set(range(len(stale)))
        assert not batch.jobs[JOB].reports_anything


def test_stale_is_a_reason_of_the_metric() -> None:
    [label] = DROPS.labels
    assert "stale" in label.values


def test_messages_without_a_marker_and_events_count_beside_those_of_an_earlier_run() -> None:
    records = [message("acme:job.1", url) for url in (*STALE, *COUNTS)]
    event = record_of(tracking_report(report("acme:job.2", "Complete"), report("acme:job.3", "Progress", 5)))
    batch = decode([*records, event])
    decisions = decide(batch, found_jobs(JobStatus.ACTIVE))
    assert batch.destinations == [None] * len(STALE) + ["worker-out"] * len(COUNTS) + [None]
    assert decisions.dropped == {"stale": len(STALE)}
    work = batch.jobs[JOB]
    assert sum(len(siblings.completed) for siblings in work.siblings) == len(COUNTS)
    assert work.count_event_reports() == 2


def test_the_messages_of_an_unknown_job_are_dropped_for_that_whatever_their_run() -> None:
    records = [message("acme:job.1", url) for url in (*STALE, *COUNTS)]
    decisions = decide(decode(records), {})
    assert decisions.dropped == {"unknown_job": len(records)}


def test_a_paused_jobs_messages_of_an_earlier_run_are_not_held() -> None:
    batch = decode([message("acme:job.1", url, to="worker-in") for url in (PRESENT, EARLIER, None, PRESENT)])
    decisions = decide(batch, found_jobs(JobStatus.PAUSED))
    assert [position for _, _, position in decisions.held] == [0, 2, 3]
    assert decisions.dropped == {"stale": 1}


def test_a_job_may_fail_by_a_message_of_any_of_the_runs() -> None:
    """Whatever may fail is locked before anybody knows which run is the present one."""
    batch = decode([message("acme:job.1", PRESENT), message("acme:job.2", EARLIER, status="INVALID_TASK")])
    assert batch.jobs[JOB].may_fail


def test_the_same_batch_can_be_judged_again_after_the_job_was_submitted_again() -> None:
    batch = decode([message("acme:job.1", PRESENT), message("acme:job.2", EARLIER)])
    for key, destinations in ((1, ["worker-out", None]), (9, [None, "worker-out"]), (5, [None, None])):
        copy = batch.copy()
        decide(copy, {JOB: JobState(JOB, 1, key, JobStatus.ACTIVE, 0)})
        assert copy.destinations == destinations
    assert batch.destinations == ["worker-out"] * 2


def test_what_was_dropped_as_stale_is_dropped_again() -> None:
    batch = decode([message("acme:job.1", EARLIER), message("acme:job.2", PRESENT)])
    decisions = decide_redelivered(batch, found_jobs(JobStatus.ACTIVE), {0})
    assert batch.destinations == [None, "worker-out"]
    assert decisions.dropped == {}


def test_what_was_to_be_forwarded_is_dropped_if_its_job_was_deleted_and_submitted_again_in_between() -> None:
    batch = decode([message("acme:job.1", EARLIER), message("acme:job.2", None)])
    decisions = decide_redelivered(batch, found_jobs(JobStatus.WAITING), set())
    assert batch.destinations == [None, "worker-out"]
    assert decisions.dropped == {"stale": 1}


randoms = st.randoms(use_true_random=False)


@given(histories(), randoms)
@THOROUGH
def test_any_mixture_of_runs_is_judged_as_in_the_model(history: History, random: Random) -> None:
    both = Both("job")
    script = history.script
    steps = [*script.body, *script.tail]
    steps += [each for each in steps if random.random() < 0.3]
    random.shuffle(steps)
    for batch in cut(random, steps, largest=8):
        both.apply([_marked(random, *together) for together in group(random, batch)])
        both.compare()


def _marked(random: Random, *steps: Step) -> Record:
    """Make the record of these steps, with the marker of some run."""
    record = record_for(random, *steps)
    url = random.choice([*COUNTS, *STALE]) or ""
    old = f'"{STATUS_CHECK_URL}"'.encode()
    return record._replace(value=(record.value or b"").replace(old, f'"{url}"'.encode()))
