"""Runs the demo from its beginning to its end."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from confluent_kafka import KafkaException

from tracker import Client, Job
from tracker.demo.jobs import DemoError, DemoJob, demo_jobs
from tracker.demo.outcome import Check, checks, rows
from tracker.demo.processes import PAGE_WORKERS, Processes
from tracker.demo.results import Reader
from tracker.demo.screen import Screen
from tracker.demo.servers import Servers, demo_servers
from tracker.demo.watching import Speed, watch
from tracker.demo.where_next import where_next
from tracker.diagnosis.kafka_reasons import with_kafka
from tracker.diagnosis.why import diagnose
from tracker.kafka.errors import reason_of
from tracker.settings import Settings, load

_RESULTS_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class DemoOptions:
    """What a user can choose."""

    pages: int
    workers: int
    keep: bool


def run_demo(environment: Mapping[str, str], options: DemoOptions, screen: Screen) -> int:
    """Show how jobs pass through the tracker; return 0 if the outcome is as expected, otherwise 1.

    However it ends, none of its processes continues, except servers that are to be kept.

    :raises TrackerError: something is missing, or has ended too early.
    """
    try:
        with ExitStack() as ending:
            servers = _start_servers(environment, options, screen, ending)
            try:
                processes = ending.enter_context(Processes(servers, options.workers))
                _start_processes(processes, options, screen)
                right = _run_jobs(servers, processes, options, screen)
            except KeyboardInterrupt:
                screen.say("Ending everything ...")
                raise
    except KafkaException as error:
        raise DemoError(f"Kafka does not do what the demo asks of it: {reason_of(error.args[0])}") from None
    screen.say(where_next(kept=options.keep))
    return 0 if right else 1


def _start_servers(
    environment: Mapping[str, str], options: DemoOptions, screen: Screen, ending: ExitStack
) -> Servers:
    began_s = time.monotonic()
    with screen.working("Starting Kafka and PostgreSQL ..."):
        servers = ending.enter_context(demo_servers(environment, keep=options.keep, say=screen.say))
    took_s = time.monotonic() - began_s
    screen.say(f"Kafka and PostgreSQL are up, with topics and schema ({took_s:.1f} s).")
    return servers


def _start_processes(processes: Processes, options: DemoOptions, screen: Screen) -> None:
    began_s = time.monotonic()
    what = f"the tracker with {options.workers} workers, a splitter and {PAGE_WORKERS + 1} page workers"
    with screen.working(f"Starting {what} ..."):
        processes.start()
    screen.say(f"{what[0].upper()}{what[1:]} are up ({time.monotonic() - began_s:.1f} s).")


def _run_jobs(servers: Servers, processes: Processes, options: DemoOptions, screen: Screen) -> bool:
    """Run the jobs, show what happens, and return whether the outcome is as expected."""
    jobs = demo_jobs(options.pages)
    pages = sum(job.pages for job in jobs)
    with Client(servers.database_url, max_connections=1) as client, Reader(servers) as reader:
        client.submit([job.to_submit(servers.names) for job in jobs])
        began_s = time.monotonic()
        screen.say(
            f"{len(jobs)} jobs are submitted: documents of {pages:,} pages together. Each page is a task;"
            " it passes the tracker on its way to a page worker, and its result once more."
        )
        with screen.watching(jobs):
            found, speed = watch(client, jobs, processes.messages, screen.show, screen.say)
        took_s = time.monotonic() - began_s
        why = list(_why_stuck(client, jobs, load(processes.variables())))
        verdict = _judge(jobs, found, processes, reader)
        screen.finish(list(rows(jobs, found, reader.arrived)), verdict)
    screen.say(f"\n{_speed_text(speed, took_s)}\n")
    for line in why:
        screen.say(line)
    right = all(check.right for check in verdict)
    if not right:
        processes.keep_logs = True
        screen.say(f"Something is WRONG, see above. The logs are in {processes.logs}.")
    return right


def _why_stuck(client: Client, jobs: Sequence[DemoJob], settings: Settings) -> Iterator[str]:
    """Yield what `tracker job why` says of the jobs that are stuck: it is asked while the tracker runs."""
    for job in jobs:
        if job.stuck:
            diagnosis = client.run(diagnose(str(job)))
            yield f"{job.id} is stuck on purpose. tracker job why {job} says:"
            for line in with_kafka(diagnosis.why, diagnosis.job, settings).lines():
                yield f"  {line}"


def _judge(
    jobs: Sequence[DemoJob], found: Mapping[str, Job], processes: Processes, reader: Reader
) -> list[Check]:
    """End the processes, read the results, and compare them with what is expected."""
    # Jobs complete in the database first; their last messages follow at once.
    expected = sum(job.pages for job in jobs if found[job.id].percentage_complete == 100)
    reader.read_until(lambda: reader.arrived.pages.total() >= expected, _RESULTS_TIMEOUT_S)
    troubles = processes.stop()
    if not reader.read_to_end(_RESULTS_TIMEOUT_S):
        troubles.append(f"The results could not be read within {_RESULTS_TIMEOUT_S:.0f} s.")
    return list(checks(jobs, found, reader.arrived, troubles))


def _speed_text(speed: Speed, took_s: float) -> str:
    average = speed.messages / took_s
    return (
        f"{speed.messages:,} messages went through the tracker in {took_s:.1f} s:"
        f" {average:,.0f} a second, {max(speed.best, average):,.0f} at best."
    )
