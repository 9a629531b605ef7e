"""Records that are near misses of bad ones: the tracker must accept them. Each has a name."""

from collections.abc import Iterator

from tests.support.messages import OMIT, dump, failure, progress_event, report, task_message, tracking_report
from tests.support.model.changed_messages import TASK, changed, nested, padded


def sound_messages() -> Iterator[tuple[str, bytes]]:
    yield "completes", task_message(TASK)
    yield "in progress", task_message(TASK, to="worker-in")
    yield "nothing to send", task_message(TASK, to=None, track_to=None)
    yield "realistic", task_message(TASK, realistic=True)
    yield "untracked", task_message(None, tracking=None)
    yield "no jobTaskId", task_message(None)
    yield "tracking left out", task_message(None, tracking=OMIT)
    yield "only what is required", dump({"taskId": "x", "to": "worker-in"})
    yield "an empty taskId", task_message(TASK, taskId="")
    yield "spaces around", b" \r\n\t" + task_message(TASK) + b"\n"
    yield "unknown status", task_message(TASK, status="RESULT_MAYBE")
    yield "as large as allowed", padded(1_000_000)
    yield "as deep as allowed", nested(200)
    yield "brackets in a string", changed("context", {"x": '\\"' + "[{" * 500})
    yield "a surrogate pair", changed("taskId", "MARK").replace(b"MARK", rb"\ud83d\ude00")
    yield "NUL in a field that is not stored", changed("context", {"x": "a\0b"})
    yield "no version", task_message(TASK, version=OMIT)
    yield "task data of a worker that is no base64", task_message(TASK, taskData="*")
    yield "topic of 249 characters", task_message(TASK, to="t" * 249)
    yield "no source", task_message(TASK, status="RESULT_EXCEPTION", sourceInfo=None)
    yield "no task data", task_message(TASK, status="RESULT_EXCEPTION", task_data=None)
    for version in (2, 1, 0, -1):
        yield f"version {version}", task_message(TASK, version=version)
    for time in ("2024-02-29T12:00:00.000Z", "2024-02-29T12:00:00+01:00", 0, -1, None):
        yield (
            f"failure time {time}",
            tracking_report(report(TASK, "Failed", failure=failure(failureTime=time))),
        )
        yield f"last check {time}", changed("tracking.lastStatusCheckTime", time)
    for percentage in (0, 100, 0.1, 99.99, 1e-9, 100.0, -0.0):
        yield f"progress {percentage}", progress_event(TASK, percentage)
    for name in (
        "job",
        "job.1",
        "p:j",
        "acme:job.2147483647",
        "a b:c d.1",
        "acme:job-7.3.12*",
        "\u00e9:\u00fc.1*.2",
    ):
        yield f"jobTaskId {name}", task_message(name)
    yield "jobTaskId of 100 levels", task_message("acme:job" + ".1" * 100)
    yield "jobTaskId of 1,000 characters", task_message("acme:job" + ".2147483647" * 90 + ".1")
    yield "names as long as allowed", task_message("p" * 40 + ":" + "j" * 48 + ".1")
    yield "no reports", tracking_report()
    yield "a failure without details", tracking_report(report(TASK, "Failed"))
    yield "a retry", tracking_report(report(TASK, "Retry", retries=3))
    yield "progress, to the topic in capitals", progress_event(TASK, 5, to="TRACKING")
    for api_version in (0, -1, None):
        yield f"API version {api_version}", progress_event(TASK, 5, taskApiVersion=api_version)
    yield "no API version", progress_event(TASK, 5, taskApiVersion=OMIT)
