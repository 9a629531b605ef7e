"""`tracker dead-letters replay` and `drop`."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from tracker.cli import asking
from tracker.cli.letter_options import (
    Job,
    Reasons,
    Records,
    ScanLimit,
    Since,
    Sources,
    Until,
    print_how_far,
    read_filter,
    require_topics,
)
from tracker.cli.output import Json, counted, print_json
from tracker.cli.progress_bar import progress_bar
from tracker.errors import InvalidQuery, TrackerError, sentence

if TYPE_CHECKING:
    from tracker.dead_letters import (
        Change,
        ChangeCounts,
        LetterChanger,
        LetterFilter,
        LetterReader,
        Selection,
    )
    from tracker.identifiers import JobName

MAX_COUNT = 5
_SCAN_LIMIT = 1_000_000
_REASONS_SHOWN = 20

AllMatching = Annotated[
    bool, typer.Option("--all-matching", help="All that the options select, in place of RECORDs.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Limit = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="So many of all that match, at most: the newest.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before --all-matching.")]


class _Words(NamedTuple):
    verb: str
    doing: str
    done: str


_REPLAY = _Words("replay", "Replaying", "replayed")
_DROP = _Words("drop", "Dropping", "dropped")


@dataclass(frozen=True)
class _Asked:
    """What the arguments ask for."""

    records: Sequence[str]
    wanted: "LetterFilter | None"  # None: the records are named
    json: bool
    limit: int | None = None
    scan_limit: int = _SCAN_LIMIT
    dry_run: bool = False
    yes: bool = False


def replay(  # noqa: PLR0913, PLR0917 - an option is a parameter
    records: Records = None,
    all_matching: AllMatching = False,
    reason: Reasons = None,
    source: Sources = None,
    job: Job = None,
    since: Since = None,
    until: Until = None,
    max_count: Annotated[
        int, typer.Option(min=1, metavar="N", help="Leave those that were refused more often.")
    ] = MAX_COUNT,
    limit: Limit = None,
    scan_limit: ScanLimit = _SCAN_LIMIT,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Send dead letters back to where they were read.

    Each is sent once: if the command is interrupted, run it again, and it does the rest.
    """
    wanted = _read_wanted(
        records, read_filter(reason, source, job, since, until), limit, all_matching=all_matching
    )
    asked = _Asked(records or (), wanted, json, limit, scan_limit, dry_run, yes)
    return _change(_REPLAY, asked, partial(_make_replay, max_count))


def replay_of_jobs(jobs: "Iterable[JobName]", max_count: int, *, json: bool) -> int:
    """Send the dead letters of jobs back that are open, as `replay` does; return the exit status."""
    from tracker.dead_letters import LetterFilter

    wanted = LetterFilter(jobs=frozenset(jobs))
    assert wanted.jobs  # none would stand for any
    return _change(_REPLAY, _Asked((), wanted, json, yes=True), partial(_make_replay, max_count))


def _make_replay(max_count: int, reader: "LetterReader") -> "Change":
    from tracker.dead_letters import Replay

    return Replay(max_count, reader.access_to, reader.kafka_partitions)


def drop(  # noqa: PLR0913, PLR0917 - an option is a parameter
    records: Records = None,
    all_matching: AllMatching = False,
    reason: Reasons = None,
    source: Sources = None,
    job: Job = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    scan_limit: ScanLimit = _SCAN_LIMIT,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Mark dead letters as done with.

    The list leaves them out, and they cannot be replayed any more.
    """
    wanted = _read_wanted(
        records, read_filter(reason, source, job, since, until), limit, all_matching=all_matching
    )
    asked = _Asked(records or (), wanted, json, limit, scan_limit, dry_run, yes)

    def make(_reader: "LetterReader") -> "Change":
        from tracker.dead_letters import drop

        return drop

    return _change(_DROP, asked, make)


def _read_wanted(
    records: Sequence[str] | None, options: "LetterFilter", limit: int | None, *, all_matching: bool
) -> "LetterFilter | None":
    """Return the filter; None: the dead letters are named."""
    from tracker.dead_letters import LetterFilter

    if all_matching and records:
        raise typer.BadParameter("give RECORDs or --all-matching, not both")
    if not all_matching and not records:
        raise typer.BadParameter("give RECORDs, or --all-matching")
    if records and (options != LetterFilter() or limit is not None):
        raise typer.BadParameter(
            "--reason, --source, --job, --since, --until and --limit are for --all-matching"
        )
    return options if all_matching else None


def _change(words: _Words, asked: _Asked, make: "Callable[[LetterReader], Change]") -> int:
    """Carry out what is asked for, print how many of what, and return the exit status."""
    from tracker import failpoints
    from tracker.dead_letters import LetterChanger, LetterReader
    from tracker.settings import load

    failpoints.load()
    settings = load(need={"kafka"})
    with closing(LetterReader(settings)) as reader:
        try:
            selection = _select(reader, asked)
            is_confirmed = _is_confirmed(words, asked, len(selection))
        except KeyboardInterrupt:
            print(f"\nStopped, nothing was {words.done}.", file=sys.stderr)
            return 130
        if not is_confirmed:
            print(f"Nothing was {words.done}.", file=sys.stderr)
            return 1
        changer = LetterChanger(reader, selection, make(reader))
        is_whole = True
        if len(selection):
            steps = changer.look() if asked.dry_run else changer.run(settings)
            is_whole = _carry_out(words, changer, steps)
    _print_counts(words, asked, changer.counts)
    if not is_whole:
        print(f"Stopped, {_so_far(words, changer.counts)}.", file=sys.stderr)
        return 130
    return 0 if all(skipped.is_wanted for skipped in changer.counts.skipped.values()) else 1


def _select(reader: "LetterReader", asked: _Asked) -> "Selection":
    from tracker.dead_letters import Selection, read_record

    if asked.wanted is None:
        names = [read_record(text) for text in asked.records]
        try:
            for name in names:
                reader.require_topic_of(name)
        except InvalidQuery as error:
            raise typer.BadParameter(str(error), param_hint="RECORD") from None
        return Selection(names)
    selection = Selection()
    scan = reader.scan(asked.wanted, asked.scan_limit)
    with progress_bar("Searching", None) as show:
        for letter in islice(scan, asked.limit):
            selection.add(letter.record)
            show(scan.looked_at)
    if not len(selection):
        require_topics(reader, asked.wanted.sources)
    print_how_far(scan, has_since=asked.wanted.since_ms is not None)
    return selection


def _is_confirmed(words: _Words, asked: _Asked, count: int) -> bool:
    if asked.wanted is None or asked.dry_run or asked.yes or not count or not asking.is_terminal():
        return True
    return asking.is_confirmed(f"{words.verb.capitalize()} {counted(count, 'dead letter')}?")


def _carry_out(words: _Words, changer: "LetterChanger", steps: Iterator[None]) -> bool:
    """Return whether all was done; Ctrl-C ends it before."""
    with (
        asking.stoppable() as is_stopped,
        progress_bar(words.doing, changer.counts.matched) as show,
    ):
        try:
            for _ in steps:
                show(changer.counts.done)
                if is_stopped():
                    return changer.counts.done == changer.counts.matched
        except TrackerError as error:
            raise TrackerError(f"{error}; {_so_far(words, changer.counts)}") from error
        except KeyboardInterrupt:  # the second: what became of the last transaction is not known
            return False
    return True


def _so_far(words: _Words, counts: "ChangeCounts") -> str:
    return (
        f"{counts.changed:,} of {counted(counts.matched, 'dead letter')} {asking.were(counts.changed)}"
        f" {words.done} until then; do it again for the rest, and none is {words.done} twice"
    )


def _print_counts(words: _Words, asked: _Asked, counts: "ChangeCounts") -> None:
    """Print how many were changed; on stderr, why others were not."""
    skipped = sum(each.count for each in counts.skipped.values())
    if asked.json:
        print_json([{"matched": counts.matched, "changed": counts.changed, "skipped": skipped}])
    else:
        begin = f"Would {words.verb}" if asked.dry_run else words.done.capitalize()
        print(f"{begin} {counts.changed:,} of {counted(counts.matched, 'dead letter')}.")
    for number, (why, each) in enumerate(counts.skipped.items()):
        if number == _REASONS_SHOWN:
            print(f"And {counted(len(counts.skipped) - number, 'reason')} more.", file=sys.stderr)
            break
        more = f" and {each.count - 1:,} more" if each.count > 1 else ""
        print(sentence(f"left {each.first}{more}: {why}"), file=sys.stderr)
