"""Counts in the metrics what became of a batch."""

from tracker.logs import get_logger
from tracker.messages.decode import DecodedBatch
from tracker.messages.event import Complete, Failed, Progress
from tracker.metrics import (
    BATCH_BYTES,
    BATCH_RECORDS,
    BATCHES,
    CONTRADICTIONS,
    DEAD_LETTERS,
    DROPS,
    MESSAGES,
    RELEASES,
    REPORTS,
    REPORTS_IGNORED,
    UNTRACKED,
    Recorder,
)
from tracker.pipeline.applied import Applied
from tracker.pipeline.unusual import log_unusual
from tracker.rate_limited_log import RateLimitedLog

_KINDS = {Complete: "complete", Failed: "failed", Progress: "progress"}

log = get_logger()


def account_for(applied: Applied, recorder: Recorder, limited_log: RateLimitedLog) -> None:
    """Record a published batch in the metrics, and log what was unusual about it."""
    batch = applied.batch
    if batch.skipped:
        recorder.add(DEAD_LETTERS, reason=batch.skipped.refusal().reason.value)
        log.warning("skipped records that cannot be received", **batch.skipped._asdict())
        return
    if not batch.records:
        log.debug("moved past transaction markers", kafka_partitions=len(batch.ranges))
        return
    recorder.add(BATCHES)
    recorder.observe(BATCH_RECORDS, len(batch.records))
    recorder.observe(BATCH_BYTES, batch.size_bytes)
    _count_messages(applied, recorder)
    _count_reports(applied.decoded, recorder)
    _count_reasons(applied, recorder)
    unusual = {name: count for name, count in _unusual(applied).items() if count}
    (log.info if unusual else log.debug)("batch published", records=len(batch.records), **unusual)
    log_unusual(applied, limited_log)


def _unusual(applied: Applied) -> dict[str, int]:
    return {
        "dropped": applied.decided.dropped.total(),
        "held": len(applied.decided.held),
        "dead_letters": len(applied.refused),
        "redelivered": applied.redelivered,
        "untracked": applied.decoded.untracked,
        "contradictions": _contradictions(applied),
    }


def _contradictions(applied: Applied) -> int:
    return sum(fold.contradictions for fold in applied.contradictory)


def _count_reasons(applied: Applied, recorder: Recorder) -> None:
    for reason, count in applied.decided.dropped.items():
        recorder.add(DROPS, count, reason=reason)
    for reason, count in applied.decided.ignored.items():
        recorder.add(REPORTS_IGNORED, count, reason=reason)
    for _, refusal in applied.refused:
        recorder.add(DEAD_LETTERS, reason=refusal.reason.value)
    for metric, count in (
        (UNTRACKED, applied.decoded.untracked),
        (RELEASES, len(applied.releases)),
        (CONTRADICTIONS, _contradictions(applied)),
    ):
        if count:
            recorder.add(metric, count)


def _count_messages(applied: Applied, recorder: Recorder) -> None:
    new, decided = applied.decoded, applied.decided
    held = len(decided.held)
    dropped = decided.dropped.total()
    refused = len(new.refused)
    sent = sum(destination is not None for destination in new.destinations)
    consumed = max(0, len(new.destinations) - sent - held - dropped - refused - new.events)
    for kind, outcome, count in (
        ("proxied", "forwarded", sent),
        ("proxied", "held", held),
        ("proxied", "dropped", dropped),
        ("proxied", "consumed", consumed),
        ("event", "consumed", new.events),
        ("unreadable", "dead_letter", refused),
        ("proxied", "redelivered", applied.redelivered),
    ):
        if count:
            recorder.add(MESSAGES, count, kind=kind, outcome=outcome)


def _count_reports(new: DecodedBatch, recorder: Recorder) -> None:
    counts = {"complete": 0, "failed": 0, "progress": 0, "retry": new.retries}
    for work in new.jobs.values():
        counts["complete"] += len(work.job_completed_positions)
        counts["complete"] += sum(
            len(siblings.completed) for siblings in [*work.siblings, *work.event_siblings]
        )
        for _, report in work.reports + work.event_reports:
            counts[_KINDS[type(report)]] += 1
    for kind, count in counts.items():
        if count:
            recorder.add(REPORTS, count, kind=kind)
