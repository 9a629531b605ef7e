"""Records in which a value is not allowed though its type is right, each with a name."""

from collections.abc import Iterator

from tests.support.messages import OMIT, event, failure, progress_event, report, task_message, tracking_report
from tests.support.model.changed_messages import TASK, huge_digits

BAD_JOB_TASK_IDS = {
    "empty": "",
    "a dot": ".",
    "a colon": ":",
    "a star": "*",
    "a space is no index": "acme:job. ",
    "no partition ID before the colon": ":job.1",
    "no job ID": "acme:",
    "no job ID before the index": "acme:.1",
    "two colons": "acme:job:x.1",
    "three parts": "a:b:c",
    "dot in the partition ID": "ac.me:job.1",
    "empty index": "acme:job..1",
    "dot at the end": "acme:job.1.",
    "dot after the job": "acme:job.",
    "index 0": "acme:job.0",
    "index 0 below": "acme:job.1.0",
    "leading zero": "acme:job.01",
    "negative index": "acme:job.-1",
    "signed index": "acme:job.+1",
    "index with a point": "acme:job.1,5",
    "index with an underscore": "acme:job.1_0",
    "hexadecimal index": "acme:job.0x1",
    "exponent": "acme:job.1e3",
    "letters": "acme:job.one",
    "Arabic digits": "acme:job.\u0661",
    "full-width digit": "acme:job.\uff11",
    "superscript digit": "acme:job.\u00b2",
    "space before the index": "acme:job. 1",
    "space after the index": "acme:job.1 ",
    "line feed after the index": "acme:job.1\n",
    "two stars": "acme:job.1**",
    "star before the index": "acme:job.*1",
    "star alone": "acme:job.*",
    "star on the job": "acme:job*",
    "star on the job, with an index": "acme:job*.1",
    "star in the partition ID": "ac*me:job.1",
    "index beyond 32 bits": "acme:job.2147483648",
    "index beyond 64 bits": "acme:job.18446744073709551617",
    "index of 5,000 digits": "acme:job." + "9" * 5_000,
    "index of 900 digits": "acme:job." + "9" * 900,
    "101 levels": "acme:job" + ".1" * 101,
    "1,001 characters": "acme:job" + ".2147483647" * 90 + ".11",
    "partition ID of 41 characters": "p" * 41 + ":job.1",
    "job ID of 49 characters": "acme:" + "j" * 49 + ".1",
} | {f"{character} in the job ID": f"acme:j{character}ob.1" for character in ",;*?!|()"}


def bad_job_task_id() -> Iterator[tuple[str, bytes]]:
    for what, text in BAD_JOB_TASK_IDS.items():
        yield f"jobTaskId: {what}", task_message(text)
        yield f"jobTaskId in a report: {what}", tracking_report(report(text, "Complete"))
        yield f"jobTaskId in progress: {what}", progress_event(text, 5)
    yield "jobTaskId of a retry", task_message("acme:job.0", status=None)
    yield "jobTaskId of a task in progress", task_message("acme:job.0", to="worker-in")
    yield "jobTaskId with nothing to send", task_message("acme:job.0", to=None)
    yield (
        "jobTaskId in the second report",
        tracking_report(report(TASK, "Complete"), report("job.0", "Complete")),
    )


BAD_PERCENTAGES = ("-1", "-0.000001", "100.1", "101", "1e400", "-1e400", "1e300", "100.0000001", str(2**64))


def percentage_out_of_range() -> Iterator[tuple[str, bytes]]:
    for digits in (*BAD_PERCENTAGES, huge_digits(), "-" + huge_digits()):
        shown = digits if len(digits) < 30 else f"{digits[:2]}... of 5,000 digits"
        data = '{"jobTaskId":"acme:job.1","estimatedPercentageCompleted":%s}' % digits  # noqa: UP031 -- braces
        yield f"percentage {shown} in progress", event("JobTrackingWorker", data.encode())
        for status in ("Progress", "Complete"):
            one = data[:-1] + f',"status":"{status}"}}'
            reports = f'{{"trackingReports":[{one}]}}'
            yield f"percentage {shown} in a {status} report", event("TrackingReportTask", reports.encode())


def unknown_classifier() -> Iterator[tuple[str, bytes]]:
    data = {"jobTaskId": TASK, "estimatedPercentageCompleted": 5}
    for classifier in ("DocumentWorker", "", "trackingreporttask", "TrackingReportTask ", "Tracking"):
        yield f"classifier {classifier!r}", event(classifier, data)
    yield "another classifier, to the topic in capitals", event("DocumentWorker", data, to="TRACKING")


def unknown_version() -> Iterator[tuple[str, bytes]]:
    for version in (4, 5, 2**31, 2**63 - 1):
        yield f"version {version}", task_message(TASK, version=version)
        yield f"version {version} of an event", progress_event(TASK, 5, version=version)
        yield f"API version {version} of progress", progress_event(TASK, 5, api_version=version)
    yield "API version 2 of a report", tracking_report(report(TASK, "Complete"), api_version=2)
    # As in version 4 of the worker framework, in which task data is an object.
    yield "version 4 with other types", task_message(TASK, version=4, taskData={"a": [1]}, priority="high")
    yield "version 4 with other fields", task_message(TASK, version=4, taskId=OMIT, context=OMIT)
    yield "version 4 with other tracking", task_message(TASK, version=4, tracking=[{"jobTaskId": 1}])
    yield "version 4 of an event with other types", progress_event(TASK, 5, version=4, taskData={"a": 1})
    yield "version 4 to nowhere, of no task", task_message("a..b", to="nowhere", version=4)


BAD_DESTINATIONS = {
    "__consumer_offsets": "__consumer_offsets",
    "__transaction_state": "__transaction_state",
    "two underscores": "__",
    "empty": "",
    "a dot": ".",
    "two dots": "..",
    "path upwards": "../x",
    "slash": "a/b",
    "backslash": "a\\b",
    "space": "a b",
    "space in front": " worker-in",
    "line feed after it": "worker-in\n",
    "colon": "a:b",
    "comma": "a,b",
    "star": "*",
    "regular expression": "^worker.*",
    "umlaut": "w\u00f6rker",
    "NUL": "worker\0in",
    "NUL after it": "worker-in\0",
    "250 characters": "t" * 250,
    "300 characters": "t" * 300,
    "another tracking topic": "tracking-2",
    "another tracking topic in capitals": "TRACKING-2",
    "the dead-letter topic": "tracker-dead-letter",
}


def destination_not_allowed() -> Iterator[tuple[str, bytes]]:
    for what, to in BAD_DESTINATIONS.items():
        yield f"destination: {what}", task_message(TASK, to=to)
        yield f"destination, where tracking ends: {what}", task_message(TASK, to=to, track_to=to)
        yield f"destination, untracked: {what}", task_message(None, to=to, tracking=None)


def destination_unknown() -> Iterator[tuple[str, bytes]]:
    yield "a topic that does not exist", task_message(TASK, to="nowhere")
    yield "a topic that does not exist, untracked", task_message(None, to="nowhere", tracking=None)
    yield "a topic of another case", task_message(TASK, to="Worker-In")


def nul_in_text() -> Iterator[tuple[str, bytes]]:
    for name in ("acme:jo\0b.1", "ac\0me:job.1", "job\0"):
        yield f"NUL in jobTaskId {name!r}", task_message(name)
        yield f"NUL in jobTaskId {name!r} in a report", tracking_report(report(name, "Complete"))
        yield f"NUL in jobTaskId {name!r} in progress", progress_event(name, 5)
    for status in ("RESULT_EXCEPTION", "INVALID_TASK"):
        yield f"NUL in the task data of {status}", task_message(TASK, status=status, task_data=b"a\0b")
        source = {"name": "work\0er", "version": "1"}
        yield f"NUL in the source of {status}", task_message(TASK, status=status, sourceInfo=source)
    for name in ("failureId", "failureSource", "failureMessage"):
        yield f"NUL in {name}", tracking_report(report(TASK, "Failed", failure=failure(**{name: "a\0b"})))
