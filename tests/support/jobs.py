"""Jobs to submit, and what the worker would do with them."""

from typing import Any

import psycopg

from tracker import JobStatus, NewJob, NewTask

TASK = NewTask(
    task_classifier="DocumentWorker", task_api_version=1, task_data={"any": "object"}, task_pipe="worker-in"
)

JSON_TEXTS = [
    '{"a": 0.12345678901234567890123, "b": 1e-400, "c": 1E+999, "d": 1.50, "e": -0}',
    '{"a": 1, "a": 2, "a": 1}',
    '{ "z" : [ 1 ,2 ],\t"a":{"y":null , "x":true}  }',
    '{"a": "\\u0041\\/", "b": "\\u0000", "ü": "\u2028"}',
    '{"n": ' + "9" * 5_000 + "}",
]
"""Objects that JSON libraries change when they read and write them."""


def job(job_id: str, *prerequisites: str, **fields: Any) -> NewJob:
    """Return a job that can be submitted."""
    return NewJob(id=job_id, prerequisite_job_ids=prerequisites, **({"task": TASK} | fields))


def as_json(job_id: str, **fields: Any) -> dict[str, Any]:
    """Return a job as a user's JSON has it."""
    task = {
        "taskClassifier": "DocumentWorker",
        "taskApiVersion": 1,
        "taskData": {"any": "object"},
        "taskPipe": "in",
    }
    return {"id": job_id, "task": task} | fields


def set_status(connection: psycopg.Connection[Any], job_id: str, status: JobStatus) -> None:
    """Make a job what the worker would make it, its task message sent."""
    connection.execute("UPDATE job SET status = %s WHERE job_id = %s", [status.number, job_id])
    change = "DELETE FROM task_message USING job"
    if status < JobStatus.CANCELLED:
        change = "UPDATE task_message SET sent_time = now(), eligible_time = NULL FROM job"
    connection.execute(f"{change} WHERE job.job_key = task_message.job_key AND job_id = %s", [job_id])


def rows(connection: psycopg.Connection[Any], statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Return the rows of a statement."""
    return connection.execute(statement, parameters).fetchall()


def unmet(connection: psycopg.Connection[Any], job_id: str) -> tuple[int, bool, list[str]]:
    """Return how many prerequisites a job waits for, whether it is eligible to be sent, and its edges."""
    ((count, eligible, edges),) = rows(
        connection,
        """
        SELECT unmet, eligible_time IS NOT NULL,
               ARRAY(SELECT prerequisite_job_id FROM prerequisite
                     WHERE prerequisite.job_key = job.job_key ORDER BY prerequisite_job_id)
        FROM job JOIN task_message USING (tenant_key, job_key)
        WHERE job_id = %s
        """,
        job_id,
    )
    return count, eligible, edges


def total(connection: psycopg.Connection[Any]) -> int:
    """Return how many rows there are of jobs and what belongs to them."""
    ((number,),) = rows(
        connection,
        """
        SELECT (SELECT count(*) FROM job) + (SELECT count(*) FROM label) + (SELECT count(*) FROM prerequisite)
             + (SELECT count(*) FROM task_message)
        """,
    )
    return int(number)
