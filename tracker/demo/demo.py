"""The demo from its beginning to its end."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaException

from tracker import Client
from tracker.demo.jobs import DemoError, demo_jobs
from tracker.demo.outcome import checks, rows
from tracker.demo.processes import PAGE_WORKERS, Processes
from tracker.demo.results import Results
from tracker.demo.screen import Screen
from tracker.demo.servers import KEPT_STACK, Servers, demo_servers
from tracker.demo.watching import watch

_RESULTS_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class DemoOptions:
    """What a user can choose."""

    pages: int
    workers: int
    keep: bool


def run_demo(environment: Mapping[str, str], options: DemoOptions, screen: Screen) -> int:
    """Show jobs going through the tracker; return 0 if all went as it has to, else 1.

    However it ends, nothing of it runs on afterwards, except servers that are to be kept.

    :raises TrackerError: something is missing, or has ended too early.
    """
    began_s = time.monotonic()
    screen.say("Starting Kafka and PostgreSQL ...")
    try:
        with demo_servers(environment, keep=options.keep, say=screen.say) as servers:
            screen.say(f"They are up, with topics and schema, after {time.monotonic() - began_s:.1f} s.")
            with Processes(servers, options.workers) as processes:
                status = _run(servers, processes, options, screen)
    except KafkaException as error:
        raise DemoError(f"Kafka does not do what the demo asks of it: {error.args[0].str()}") from None
    _say_where_next(screen, keep=options.keep)
    return status


def _run(servers: Servers, processes: Processes, options: DemoOptions, screen: Screen) -> int:
    began_s = time.monotonic()
    screen.say(
        f"Starting the tracker with {options.workers} workers, a splitter, {PAGE_WORKERS} page workers,"
        " and a slow one for scans ..."
    )
    processes.start()
    screen.say(f"The tracker is ready after {time.monotonic() - began_s:.1f} s.")
    jobs = demo_jobs(options.pages)
    with Client(servers.database_url, max_connections=1) as client, Results(servers) as results:
        began_s = time.monotonic()

        def count_messages() -> int | None:
            processes.check()
            return processes.messages()

        client.submit([job.to_submit(servers.names) for job in jobs])
        with screen.watching(jobs):
            found, speed = watch(client, jobs, count_messages, screen.show, screen.say)
        took_s = time.monotonic() - began_s
        expected = sum(job.pages for job in jobs if found[job.id].percentage_complete == 100)
        results.read_until(lambda: results.pages.total() >= expected, _RESULTS_TIMEOUT_S)
        troubles = processes.stop()
        results.read_to_end(_RESULTS_TIMEOUT_S)
        verdict = list(checks(jobs, found, results, troubles))
        screen.finish(list(rows(jobs, found, results)), verdict)
    screen.say(
        f"\n{speed.messages:,} messages went through the tracker in {took_s:.1f} s:"
        f" {speed.messages / took_s:,.0f} a second, {max(speed.best, speed.messages / took_s):,.0f} at best."
    )
    right = all(check.right for check in verdict)
    if not right:
        processes.keep_logs = True
        screen.say(f"Something is WRONG, see above. The logs are in {processes.logs}.")
    return 0 if right else 1


def _say_where_next(screen: Screen, *, keep: bool) -> None:
    screen.say("")
    if keep:
        screen.say(
            "The servers are still up. To look around:\n"
            f'  eval "$(tracker stack env --name {KEPT_STACK})"\n'
            "  tracker job list --partition demo\n"
            "  tracker job show demo:letters\n"
            "  tracker job failures demo:letters-mail\n"
            f"To end them: tracker stack down --name {KEPT_STACK}"
        )
    else:
        screen.say(
            "Where to look next:\n"
            "  make demo ARGS=--keep   leaves the servers up, for tracker job list, show, failures\n"
            "  examples/               the workers that you have just seen, to be copied\n"
            "  README.md, docs/        how to use it with your own Kafka and PostgreSQL, and how it works\n"
            "  make bench              how fast it is on this machine"
        )
