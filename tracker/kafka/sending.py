"""What workers and the scheduler send besides forwarded records: the task messages of jobs."""

from collections.abc import Sequence

from tracker.kafka.producer import OutgoingMessage
from tracker.messages.pending_task import PendingTask, StatusCheck, task_message_of
from tracker.settings import Settings


def status_check_of(settings: Settings) -> StatusCheck:
    """Return what the `tracking` of task messages says that this program sends."""
    return StatusCheck(
        settings.service_url, settings.status_check_interval_seconds * 1000, settings.topics[0]
    )


def outgoing_tasks(tasks: Sequence[PendingTask], check: StatusCheck, now_ms: int) -> list[OutgoingMessage]:
    """Return the messages that start jobs, each keyed by its job."""
    return [
        OutgoingMessage(task.task_pipe, str(task.job).encode(), task_message_of(task, check, now_ms), None)
        for task in tasks
    ]
