"""`tracker job cancel`, `pause`, `resume`, `retry` and `delete`: of named jobs, or of all that match."""

import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from tracker.cli import asking
from tracker.cli.cancel_wait import Wait, read_wait, wait_until_passed
from tracker.cli.change_letters import MAX_COUNT, replay_of_jobs
from tracker.cli.database import SomeJobNames, Timeout, open_client
from tracker.cli.filter_options import (
    FilterOptions,
    Label,
    Partition,
    Prefix,
    Rsql,
    Status,
    Transitive,
    WaitingFor,
)
from tracker.cli.output import Json, counted, print_json
from tracker.cli.progress_bar import progress_bar
from tracker.errors import TrackerError

if TYPE_CHECKING:
    from tracker import ChangeCount, ChangedJob, Client
    from tracker.job_filter import JobFilter
    from tracker.jobs.matching import OnStep
    from tracker.store.steps import Prepared

AllMatching = Annotated[
    bool,
    typer.Option("--all-matching", help="All that the options select, in steps; others are skipped."),
]
SkipEnded = Annotated[
    bool, typer.Option("--skip-ended", help="Leave out the JOBs whose status does not allow it.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before --all-matching.")]

_NAMES_SHOWN = 3


class _Words(NamedTuple):
    verb: str
    doing: str
    done: str
    already: str


_CANCEL = _Words("cancel", "Cancelling", "cancelled", "was cancelled already")
_PAUSE = _Words("pause", "Pausing", "paused", "was paused already")
_RESUME = _Words("resume", "Resuming", "resumed", "was not paused")
_RETRY = _Words("retry", "Starting again", "started again", "")
_DELETE = _Words("delete", "Deleting", "deleted", "")


class _Wanted(NamedTuple):
    """The jobs that are meant."""

    filter: "JobFilter"
    described: str  # by the options


@dataclass(frozen=True)
class _Asked:
    """What the arguments ask for."""

    jobs: Sequence[str]
    wanted: "_Wanted | None"  # None: the jobs are named
    yes: bool
    json: bool
    skip_ended: bool = False
    wait: Wait | None = None


def cancel(  # noqa: PLR0913, PLR0917 - an option is a parameter
    jobs: SomeJobNames = None,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Also cancel every job that waits for a JOB, directly or not.")
    ] = False,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Then wait until no message from before can be forwarded any more."),
    ] = False,
    timeout: Timeout = None,
    all_matching: AllMatching = False,
    partition: Partition = None,
    prefix: Prefix = None,
    status: Status = None,
    label: Label = None,
    rsql: Rsql = None,
    waiting_for: WaitingFor = None,
    transitive: Transitive = False,
    skip_ended: SkipEnded = False,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Cancel jobs, all or none. Jobs that wait for them wait for ever, unless they are cancelled too."""
    options = FilterOptions(partition, prefix, status, label, rsql, waiting_for, transitive)
    wanted = _read_wanted(jobs, options, all_matching=all_matching)
    _refuse_cascade(cascade, wanted)
    _refuse_transitive(transitive)
    skip_ended = _of_names(skip_ended, wanted)
    asked = _Asked(jobs or (), wanted, yes, json, skip_ended, read_wait(wait, timeout))

    def by_name(client: "Client") -> "list[ChangedJob]":
        from tracker.jobs import cascade as verbs

        verb = verbs.cancel(asked.jobs, cascade=cascade, skip_ended=skip_ended)
        return client.run(verb if asked.wait is None else asked.wait.drops.begin_with(verb))

    return _change(_CANCEL, asked, by_name)


def pause(  # noqa: PLR0913, PLR0917 - an option is a parameter
    jobs: SomeJobNames = None,
    all_matching: AllMatching = False,
    partition: Partition = None,
    prefix: Prefix = None,
    status: Status = None,
    label: Label = None,
    rsql: Rsql = None,
    waiting_for: WaitingFor = None,
    transitive: Transitive = False,
    skip_ended: SkipEnded = False,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Pause jobs, all or none: messages for more work are held."""
    options = FilterOptions(partition, prefix, status, label, rsql, waiting_for, transitive)
    wanted = _read_wanted(jobs, options, all_matching=all_matching)
    asked = _Asked(jobs or (), wanted, yes, json, _of_names(skip_ended, wanted))
    return _change(_PAUSE, asked, lambda client: client.pause(asked.jobs, skip_ended=skip_ended))


def resume(  # noqa: PLR0913, PLR0917 - an option is a parameter
    jobs: SomeJobNames = None,
    all_matching: AllMatching = False,
    partition: Partition = None,
    prefix: Prefix = None,
    status: Status = None,
    label: Label = None,
    rsql: Rsql = None,
    waiting_for: WaitingFor = None,
    transitive: Transitive = False,
    skip_ended: SkipEnded = False,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Resume paused jobs, all or none: held messages are sent."""
    options = FilterOptions(partition, prefix, status, label, rsql, waiting_for, transitive)
    wanted = _read_wanted(jobs, options, all_matching=all_matching)
    asked = _Asked(jobs or (), wanted, yes, json, _of_names(skip_ended, wanted))
    return _change(_RESUME, asked, lambda client: client.resume(asked.jobs, skip_ended=skip_ended))


def retry(  # noqa: PLR0913, PLR0917 - an option is a parameter
    jobs: SomeJobNames = None,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Also retry every job that has failed because of a JOB.")
    ] = False,
    failed_tasks: Annotated[
        bool,
        typer.Option(
            "--failed-tasks", help="Only send open dead letters again, of JOBs that have not ended."
        ),
    ] = False,
    max_count: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="With --failed-tasks, leave those that were refused more often; else 5."
        ),
    ] = None,
    all_matching: AllMatching = False,
    partition: Partition = None,
    prefix: Prefix = None,
    status: Status = None,
    label: Label = None,
    rsql: Rsql = None,
    waiting_for: WaitingFor = None,
    transitive: Transitive = False,
    skip_ended: SkipEnded = False,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Start failed jobs again, all or none. They are sent once more."""
    if failed_tasks and (cascade or all_matching or skip_ended):
        raise typer.BadParameter("--failed-tasks is for JOBs, without --cascade and --skip-ended")
    if max_count is not None and not failed_tasks:
        raise typer.BadParameter("--max-count is for --failed-tasks")
    options = FilterOptions(partition, prefix, status, label, rsql, waiting_for, transitive)
    wanted = _read_wanted(jobs, options, all_matching=all_matching)
    if failed_tasks:
        return _replay_letters(jobs or (), max_count or MAX_COUNT, json=json)
    asked = _Asked(jobs or (), wanted, yes, json, _of_names(skip_ended, wanted))
    _refuse_cascade(cascade, wanted)
    return _change(
        _RETRY, asked, lambda client: client.retry(asked.jobs, cascade=cascade, skip_ended=skip_ended)
    )


def delete(  # noqa: PLR0913, PLR0917 - an option is a parameter
    jobs: SomeJobNames = None,
    all_matching: AllMatching = False,
    partition: Partition = None,
    prefix: Prefix = None,
    status: Status = None,
    label: Label = None,
    rsql: Rsql = None,
    waiting_for: WaitingFor = None,
    transitive: Transitive = False,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Delete jobs of any status, all or none. Jobs that wait for them keep waiting."""
    options = FilterOptions(partition, prefix, status, label, rsql, waiting_for, transitive)
    wanted = _read_wanted(jobs, options, all_matching=all_matching)
    asked = _Asked(jobs or (), wanted, yes, json)
    _refuse_transitive(transitive)
    return _change(_DELETE, asked, lambda client: client.delete(asked.jobs))


def _replay_letters(jobs: Sequence[str], max_count: int, *, json: bool) -> int:
    from tracker.jobs.retry import require_not_ended

    with open_client() as client:
        names = client.run(require_not_ended(jobs))
    return replay_of_jobs(names, max_count, json=json)


def _read_wanted(jobs: Sequence[str] | None, options: FilterOptions, *, all_matching: bool) -> _Wanted | None:
    """Return the filter; None: the jobs are named."""
    if all_matching and jobs:
        raise typer.BadParameter("give JOBs or --all-matching, not both")
    if not all_matching and not jobs:
        raise typer.BadParameter("give JOBs, or --all-matching")
    if jobs and options.given:
        raise typer.BadParameter(
            "--partition, --prefix, --status, --label, --filter, --waiting-for and --transitive are for"
            " --all-matching"
        )
    return _Wanted(options.read(), str(options)) if all_matching else None


def _of_names(skip_ended: bool, wanted: _Wanted | None) -> bool:
    if skip_ended and wanted is not None:
        raise typer.BadParameter("--skip-ended is for JOBs; --all-matching always skips")
    return skip_ended


def _refuse_cascade(cascade: bool, wanted: _Wanted | None) -> None:
    if cascade and wanted is not None:
        raise typer.BadParameter("--cascade is for JOBs, and not for --all-matching")


def _refuse_transitive(transitive: bool) -> None:
    """Refuse what would cut the way to the jobs of later steps."""
    if transitive:
        raise typer.BadParameter(
            "--transitive is not for cancel and delete; to cancel all that waits for a job: tracker job"
            " cancel --cascade JOB"
        )


def _change(words: _Words, asked: _Asked, by_name: "Callable[[Client], list[ChangedJob]]") -> int:
    """Carry out what is asked for, print what was done, and return the exit status."""
    with open_client() as client:
        if asked.wanted is not None:
            exit_status = _change_matching(client, words, asked, asked.wanted)
        else:
            exit_status = _change_named(client, words, asked, by_name)
        if asked.wait is None or exit_status:
            return exit_status
        return wait_until_passed(client, asked.wait, json=asked.json)


def _change_named(
    client: "Client", words: _Words, asked: _Asked, by_name: "Callable[[Client], list[ChangedJob]]"
) -> int:
    changed = by_name(client)
    waiting = client.count_dependents(changed) if changed and words in {_CANCEL, _DELETE} else 0
    _print_changed(changed, words, json=asked.json)
    if waiting:
        _print_waiting(waiting, words, asked)
    if asked.skip_ended:
        _print_skipped(changed, asked)
    return 0


def _change_matching(client: "Client", words: _Words, asked: _Asked, wanted: _Wanted) -> int:
    from tracker.jobs.query import count_jobs

    total = None
    if asking.is_terminal() and not asked.yes:
        try:
            total = client.run(count_jobs(wanted.filter))
            question = f"{words.verb.capitalize()} {counted(total, 'job')}?"
            is_confirmed = not total or asking.is_confirmed(question)
        except KeyboardInterrupt:
            print(f"\nStopped, nothing was {words.done}.", file=sys.stderr)
            return 130
        if not is_confirmed:
            print(f"Nothing was {words.done}.", file=sys.stderr)
            return 1
    counts, is_whole = _carry_out(client, words, asked, wanted, total)
    _print_counts(counts, words, json=asked.json)
    if is_whole:
        return 0
    print(f"Stopped, {_so_far(counts, words)}.", file=sys.stderr)
    return 130


def _carry_out(
    client: "Client", words: _Words, asked: _Asked, wanted: _Wanted, total: int | None
) -> "tuple[ChangeCount, bool]":
    """Change all that match; return what was done, and whether it is all: Ctrl-C ends it before."""
    from tracker import ChangeCount

    done = ChangeCount(matched=0, changed=0, skipped=0)
    is_whole = True
    with asking.stoppable() as is_stopped, progress_bar(words.doing, total) as show:

        def on_step(counts: ChangeCount) -> bool:
            nonlocal done, is_whole
            done = counts
            show(counts.matched)
            is_whole = not is_stopped()
            return is_whole

        try:
            return client.run(_verb(words, asked, wanted, on_step)), is_whole
        except TrackerError as error:
            raise TrackerError(f"{error}; {_so_far(done, words)}") from error
        except KeyboardInterrupt:  # the second: what became of the last transaction is not known
            return done, False


def _verb(words: _Words, asked: _Asked, wanted: _Wanted, on_step: "OnStep") -> "Prepared[ChangeCount]":
    from tracker.jobs import change
    from tracker.jobs.matching import change_matching, retry_matching

    if words is _RETRY:
        return retry_matching(wanted.filter, on_step, described=wanted.described)
    changes = {_CANCEL: change.CANCEL, _PAUSE: change.PAUSE, _RESUME: change.RESUME, _DELETE: change.DELETE}
    on_change = None if asked.wait is None else asked.wait.drops.begin
    return change_matching(changes[words], wanted.filter, on_step, on_change, described=wanted.described)


def _so_far(counts: "ChangeCount", words: _Words) -> str:
    return (
        f"{counted(counts.changed, 'job')} {asking.were(counts.changed)} {words.done} until then;"
        " do it again for the rest"
    )


def _print_counts(counts: "ChangeCount", words: _Words, *, json: bool) -> None:
    if json:
        print_json([counts])
        return
    skipped = f"; {counts.skipped:,} {asking.were(counts.skipped)} skipped" if counts.skipped else ""
    print(f"{words.done.capitalize()} {counts.changed:,} of {counted(counts.matched, 'job')}{skipped}.")


def _print_changed(jobs: "Iterable[ChangedJob]", words: _Words, *, json: bool) -> None:
    if json:
        print_json(jobs)
        return
    for job in jobs:
        text = words.done if job.changed else words.already
        if job.dropped_messages:
            text += f", {counted(job.dropped_messages, 'held message')} dropped"
        print(f"{job}: {text}")


def _print_waiting(waiting: int, words: _Words, asked: _Asked) -> None:
    """Say on stderr how many jobs wait for what was ended."""
    from tracker.jobs.cascade import MOST_DEPENDENTS

    jobs = f"{counted(waiting, 'job')}{' or more' if waiting >= MOST_DEPENDENTS else ''}"
    verb = "waits" if waiting == 1 else "wait"
    if words is _DELETE:
        print(f"{jobs} {verb} for what was deleted, as for jobs that do not exist yet.", file=sys.stderr)
        return
    named = " ".join(map(shlex.quote, asked.jobs)) if len(asked.jobs) <= _NAMES_SHOWN else "JOB..."
    command = f"tracker job cancel --cascade {'--skip-ended ' if asked.skip_ended else ''}{named}"
    them = "it" if waiting == 1 else "them"
    print(f"{jobs} {verb} for ever now; to cancel {them} too: {command}", file=sys.stderr)


def _print_skipped(jobs: "Sequence[ChangedJob]", asked: _Asked) -> None:
    """Say how many of the named jobs were left out."""
    from tracker import ChangeCount
    from tracker.jobs.query import read_names

    skipped = len({str(name) for name in read_names(asked.jobs)} - {str(job) for job in jobs})
    if asked.json:
        changed = sum(job.changed for job in jobs)
        print_json([ChangeCount(matched=len(jobs) + skipped, changed=changed, skipped=skipped)])
    elif skipped:
        print(f"Skipped {counted(skipped, 'job')}: the status does not allow it.", file=sys.stderr)
