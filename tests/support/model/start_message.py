"""The message that starts a run of a job in the model."""

import base64
from typing import Any
from urllib.parse import quote

from tests.support.model.jobs import Job


def start_message(job: Job, tracking_topic: str, service_url: str, interval_s: int) -> dict[str, Any]:
    """Make the message, but for `taskId` and `tracking.lastStatusCheckTime`."""
    content = job.content
    partition_id, job_id = (quote(part, safe="") for part in job.key)
    url = f"{service_url}/partitions/{partition_id}/jobs/{job_id}/status?run={job.marker}"
    return {
        "version": 3,
        "taskClassifier": content["task_classifier"],
        "taskApiVersion": content["task_api_version"],
        "taskData": base64.b64encode(content["task_data"]).decode(),
        "taskStatus": "NEW_TASK",
        "context": {},
        "to": content["task_pipe"],
        "tracking": {
            "jobTaskId": job.name,
            "statusCheckIntervalMillis": interval_s * 1000,
            "statusCheckUrl": url,
            "trackingPipe": tracking_topic,
            "trackTo": content["target_pipe"],
        },
        "correlationId": job.correlation_id,
    }
