"""Records in which a field is missing or has the wrong type, each with a name."""

from collections.abc import Iterator
from typing import Any

from tests.support.messages import OMIT, event, failure, progress_event, report, task_message, tracking_report
from tests.support.model.changed_messages import TASK, changed, huge_digits, with_digits


def missing_field() -> Iterator[tuple[str, bytes]]:
    yield "no taskId", task_message(TASK, taskId=OMIT)
    yield "taskId null", task_message(TASK, taskId=None)
    yield "an empty object", b"{}"
    yield "no taskId in an event", progress_event(TASK, 5, taskId=OMIT)
    for classifier in ("TrackingReportTask", "JobTrackingWorker"):
        yield f"{classifier} without task data", event(classifier, {}, taskData=OMIT)
        yield f"{classifier} with task data null", event(classifier, None)
        yield f"{classifier} with task data {{}}", event(classifier, {})
    yield "an event without classifier", event(None, {}, taskClassifier=OMIT)
    yield "an event with classifier null", event(None, {})
    yield "trackingReports null", event("TrackingReportTask", {"trackingReports": None})
    for absent in (OMIT, None):
        what = "no" if absent is OMIT else "null"
        yield f"{what} jobTaskId in progress", progress_event(absent, 5)
        yield f"{what} percentage in progress", progress_event(TASK, absent)
        yield f"{what} jobTaskId in a report", tracking_report(report(absent, "Complete"))
        yield f"{what} status in a report", tracking_report(report(TASK, absent))
        yield f"{what} percentage in a Progress report", tracking_report(report(TASK, "Progress", absent))
    yield (
        "second report without jobTaskId",
        tracking_report(report(TASK, "Complete"), report(OMIT, "Complete")),
    )


NOT_TEXT: tuple[Any, ...] = (5, 1.5, True, [], {}, ["x"])
NOT_INTEGER: tuple[Any, ...] = ("3", 1.5, 3.0, True, False, [], {})
NOT_OBJECT: tuple[Any, ...] = ("x", 5, True, [], [{}])
NOT_TIME: tuple[Any, ...] = (True, [], {})
NOT_NUMBER: tuple[Any, ...] = ("50", "", True, False, [50], {})
NOT_BASE64 = ("*", "A", "QUI", "QUI=x", "Q=I=", "=", "QUJD====", "Zm9v\n", " Zm9v", "Zm9_", "é")

WRONG_IN_MESSAGE: dict[str, tuple[Any, ...]] = {
    "version": NOT_INTEGER,
    "taskId": NOT_TEXT,
    "taskClassifier": NOT_TEXT,
    "taskApiVersion": NOT_INTEGER,
    "taskData": NOT_TEXT,
    "taskStatus": NOT_TEXT,
    "context": NOT_OBJECT,
    "to": NOT_TEXT,
    "tracking": NOT_OBJECT,
    "tracking.jobTaskId": NOT_TEXT,
    "tracking.lastStatusCheckTime": NOT_TIME,
    "tracking.statusCheckIntervalMillis": NOT_INTEGER,
    "tracking.statusCheckUrl": NOT_TEXT,
    "tracking.trackingPipe": NOT_TEXT,
    "tracking.trackTo": NOT_TEXT,
    "sourceInfo": NOT_OBJECT,
    "sourceInfo.name": NOT_TEXT,
    "sourceInfo.version": NOT_TEXT,
    "priority": NOT_INTEGER,
    "correlationId": NOT_TEXT,
}

INTEGER_FIELDS = (
    "version",
    "taskApiVersion",
    "priority",
    "tracking.statusCheckIntervalMillis",
    "tracking.lastStatusCheckTime",
)


def wrong_type() -> Iterator[tuple[str, bytes]]:
    for name, values in WRONG_IN_MESSAGE.items():
        for value in values:
            yield f"{name} is {value!r}", changed(name, value)
    for name in INTEGER_FIELDS:
        for digits in (huge_digits(), "-" + huge_digits(), "1e400"):
            if digits == "1e400" and name == "tracking.lastStatusCheckTime":
                continue
            shown = digits if len(digits) < 30 else f"{digits[:2]}... of 5,000 digits"
            yield f"{name} is {shown}", with_digits(task_message(TASK), name, digits)


def wrong_type_in_events() -> Iterator[tuple[str, bytes]]:
    for text in NOT_BASE64:
        yield f"JobTrackingWorker with task data {text!r}", event("JobTrackingWorker", {}, taskData=text)
        yield f"TrackingReportTask with task data {text!r}", event("TrackingReportTask", {}, taskData=text)
        failed = task_message(TASK, status="RESULT_EXCEPTION", taskData=text)
        yield f"RESULT_EXCEPTION with task data {text!r}", failed
        yield f"INVALID_TASK with task data {text!r}", failed.replace(b"RESULT_EXCEPTION", b"INVALID_TASK")
    for value in NOT_NUMBER:
        yield f"percentage {value!r} in progress", progress_event(TASK, value)
        yield f"percentage {value!r} in a report", tracking_report(report(TASK, "Progress", value))
        yield f"percentage {value!r} in a Complete report", tracking_report(report(TASK, "Complete", value))
    for value in NOT_TEXT:
        yield f"jobTaskId {value!r} in progress", progress_event(value, 5)
        yield f"jobTaskId {value!r} in a report", tracking_report(report(value, "Complete"))
        yield f"status {value!r} in a report", tracking_report(report(TASK, value))
        for name in ("failureId", "failureSource", "failureMessage"):
            yield (
                f"{name} {value!r}",
                tracking_report(report(TASK, "Failed", failure=failure(**{name: value}))),
            )
    for status in ("", "complete", "COMPLETE", "Done", "Completed", "Active", "Complete "):
        yield f"status {status!r} in a report", tracking_report(report(TASK, status))
    for value in NOT_INTEGER:
        yield f"retries {value!r}", tracking_report(report(TASK, "Retry", retries=value))
    for value in NOT_OBJECT:
        yield f"failure {value!r}", tracking_report(report(TASK, "Failed", failure=value))
        yield f"report {value!r}", tracking_report(value)
    for value in (*NOT_TIME, "yesterday", "", "2024-13-01T00:00:00Z"):
        yield (
            f"failureTime {value!r}",
            tracking_report(report(TASK, "Failed", failure=failure(failureTime=value))),
        )
    for value in ("x", 5, True, {}):
        yield f"trackingReports {value!r}", event("TrackingReportTask", {"trackingReports": value})
    huge = b'{"jobTaskId":"acme:job.1","status":"Retry","retries":%s}' % huge_digits().encode()
    yield "retries of 5,000 digits", event("TrackingReportTask", b'{"trackingReports":[%s]}' % huge)
    huge = (
        b'{"jobTaskId":"acme:job.1","status":"Failed","failure":{"failureTime":%s}}' % huge_digits().encode()
    )
    yield "failureTime of 5,000 digits", event("TrackingReportTask", b'{"trackingReports":[%s]}' % huge)
    good = report("acme:job.2", "Complete")
    yield "one bad report among good ones", tracking_report(good, report(TASK, 5), good)
