"""Compares two decoded batches, down to the order of everything in them."""

from collections.abc import Iterable

from tracker.messages.decode import DecodedBatch
from tracker.messages.job_work import JobWork, Siblings

_OF_DECODING = "status_check_url"  # nothing reads it once the batch is decoded


def differing(one: DecodedBatch, other: DecodedBatch) -> list[str]:
    """Return the names of what differs."""
    contents, others = _content(one), _content(other)
    return [name for name, content in contents.items() if content != others[name]]


def _content(batch: DecodedBatch) -> dict[str, object]:
    content = {name: getattr(batch, name) for name in DecodedBatch.__slots__}
    return content | {"jobs": _works(batch.jobs.items())}


def _works(works: Iterable[tuple[object, JobWork]]) -> list[tuple[object, list[object]]]:
    return [(key, _work(work)) for key, work in works]


def _work(work: JobWork) -> list[object]:
    plain: list[object] = [
        getattr(work, name)
        for name in JobWork.__slots__
        if name not in ("siblings", "event_siblings", "other_runs")
    ]
    groups = [[_siblings(each) for each in found] for found in (work.siblings, work.event_siblings)]
    return [*plain, groups, _works((work.other_runs or {}).items())]


def _siblings(siblings: Siblings) -> list[object]:
    return [getattr(siblings, name) for name in Siblings.__slots__ if name != _OF_DECODING]
