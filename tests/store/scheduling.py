"""What the scheduler sends."""

from tracker.store.schedule_store import ScheduleStore


def sent_now(scheduler: ScheduleStore) -> list[str]:
    """Have the scheduler queue what is due, and return the jobs that it would send."""
    with scheduler.transaction():
        scheduler.enqueue_due(1000)
        return [send.task.job.job_id for send in scheduler.read_outbox(0, 1000, 1 << 20) if send.task]
