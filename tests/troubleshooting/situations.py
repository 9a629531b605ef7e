"""What is broken in each section of docs/troubleshooting.md: each runs a deployment, and breaks one thing."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from confluent_kafka import TopicPartition

from tests.support.deployment import Deployment
from tests.support.group_member import group_member
from tests.support.kafka import wait_until
from tests.support.messages import failure, report
from tracker import NewTask

Situation = Callable[[Deployment], AbstractContextManager[object]]


def task_for(topic: str) -> NewTask:
    return NewTask(task_classifier="Reader", task_api_version=1, task_data="", task_pipe=topic)


def run(tracker: Deployment, *jobs: str) -> None:
    for job in jobs:
        tracker.submit(job)
    tracker.start()
    tracker.wait_until_sent()


@contextmanager
def reading(tracker: Deployment, group: str, topic: str) -> Iterator[None]:
    """Have a member of a group that has all Kafka partitions of a topic, and has done nothing of it."""
    with group_member(tracker, group, topic) as consumer:
        first = [TopicPartition(topic, each.partition, 0) for each in consumer.assignment()]
        consumer.commit(offsets=first, asynchronous=False)
        yield


def cancelled_root(tracker: Deployment) -> AbstractContextManager[object]:
    tracker.client.submit(
        [
            tracker.job("scan"),
            tracker.job("tables", "scan"),
            tracker.job("charts", "tables"),
            tracker.job("report", "charts"),
        ]
    )
    run(tracker)
    tracker.client.cancel("acme:scan")
    return nullcontext()


def wrong_topic(tracker: Deployment) -> AbstractContextManager[object]:
    tracker.submit("invoice", task=task_for(f"{tracker.topics.work}-in"))
    run(tracker)
    wait_until(lambda: tracker.rows("SELECT FROM task_message WHERE not_sent_reason IS NOT NULL"), "tried")
    return nullcontext()


def no_worker(tracker: Deployment) -> AbstractContextManager[object]:
    run(tracker, "invoice")
    return nullcontext()


def slow_worker(tracker: Deployment) -> AbstractContextManager[object]:
    run(tracker, "invoice")
    return reading(tracker, f"reader-of-{tracker.topics.work}", tracker.topics.work)


def missing_task(tracker: Deployment) -> AbstractContextManager[object]:
    run(tracker, "invoice")
    tracker.process(*(tracker.message(f"acme:invoice.{task}") for task in ("1", "2", "4", "5", "7*")))
    return nullcontext()


def suspended(tracker: Deployment) -> AbstractContextManager[object]:
    tracker.client.suspend_partition("acme")
    run(tracker, "invoice")
    return nullcontext()


def dead_letter(tracker: Deployment) -> AbstractContextManager[object]:
    run(tracker, "invoice")
    topic = f"{tracker.topics.results}-de"
    tracker.process(tracker.message("acme:invoice.1"))
    tracker.process(tracker.message("acme:invoice.2*", to=topic, track_to=topic))
    tracker.kafka.create({topic: 1})
    return nullcontext()


def failed_tasks(tracker: Deployment) -> AbstractContextManager[object]:
    run(tracker, "invoice")
    for task in ("3", "8"):
        broken = failure("the page cannot be read")
        tracker.process(tracker.event(report(f"acme:invoice.{task}", "Failed", failure=broken)))
    return nullcontext()


def no_scheduler(tracker: Deployment) -> AbstractContextManager[object]:
    tracker.submit("invoice")
    tracker.start(scheduler=False)
    return nullcontext()


def no_tracker(tracker: Deployment) -> AbstractContextManager[object]:
    run(tracker, "invoice")
    tracker.process(tracker.message("acme:invoice.1"))
    tracker.stop()
    tracker.send(tracker.message("acme:invoice.2"))
    return nullcontext()


def slow_tracker(tracker: Deployment) -> AbstractContextManager[object]:
    run(tracker, "invoice")
    tracker.process(tracker.message("acme:invoice.1"))
    tracker.stop()
    tracker.send(tracker.message("acme:invoice.2"))
    return reading(tracker, tracker.group_id, tracker.topics.tracking)


SITUATIONS: dict[str, Situation] = {
    "a cancelled root": cancelled_root,
    "a wrong topic": wrong_topic,
    "no worker": no_worker,
    "a slow worker": slow_worker,
    "a missing task": missing_task,
    "a suspended partition ID": suspended,
    "a dead letter": dead_letter,
    "failed tasks": failed_tasks,
    "no scheduler": no_scheduler,
    "no tracker": no_tracker,
    "a slow tracker": slow_tracker,
}
