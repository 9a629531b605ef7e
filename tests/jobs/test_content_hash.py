"""Content is compared by a hash that stays the same from version to version."""

from typing import Any

import msgspec
import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import TASK, job
from tracker import Client, JobConflict, NewJob, NewTask
from tracker.jobs.job_text import read_job
from tracker.jobs.validation import accept


def new_job(job_id: str, task_data: Any, **fields: Any) -> NewJob:
    task = {"task_classifier": "W", "task_api_version": 1, "task_pipe": "in", "task_data": task_data}
    for name in ("task_api_version", "target_pipe", "task_data_encoding"):
        if name in fields:
            task[name] = fields.pop(name)
    return NewJob(id=job_id, task=NewTask(**task), **fields)


PLAIN = new_job("import-7", {"b": [1, 2.5, None], "a": {"z": "ü", "y": True}})
ALL = new_job(
    "import-7", "plain ü", task_api_version=3, target_pipe="out", partition_id="acme", name="Import",
    description="All", external_data="x7", labels={"owner": "bob", "a": ""}, delay=9,
    prerequisite_job_ids=("y,pc", "x", "x"),
)  # fmt: skip
BASE64 = new_job("b", "eyJhIjogMX0=", task_data_encoding="base64")
TEXT = new_job("t", '{"a": 1}')
ROUNDED = read_job(
    b'{"id":"r","task":{"taskClassifier":"W","taskApiVersion":1,'
    b'"taskData":{"b":1.50,"a":0.12345678901234567890},"taskPipe":"in"}}'
)

# What 0.1.0 stored for each, as its own code at that version gave it.
VERSION_1 = {
    "1c8f020b34c9354207b6a0b6591ccd70": PLAIN,
    "559df64c49f2e0da901eca46a46b35c9": ALL,
    "661bdcc611be3234128742e7783e4b1f": BASE64,
    "d9788b60ab38d6519ecc89a63200d2cf": TEXT,
    "4d1ff1c9666db56fb53935cecab42f0a": ROUNDED,
}
# Never change these: a job that is stored would be a conflict with itself. Another hash is another version.
VERSION_2 = {
    "028d729ce4d144ffd6170e3711445f10a2": PLAIN,
    "02af8b3af06ee1beb1a30eab69433d55ea": ALL,
    "02b154aa1a3adacc56de64ad35786e641f": BASE64,
    "02f538c4c4f22a7138f303aedd297bf40a": TEXT,
    "021bc3e12c849475eb39db1b95b54cec59": ROUNDED,
}


def content_hash(submitted: Any) -> bytes:
    (accepted,) = accept([submitted], str).values()
    return accepted.content_hash


@pytest.mark.parametrize(("stored", "submitted"), VERSION_2.items())
def test_the_hash_is_what_it_was(stored: str, submitted: NewJob) -> None:
    assert content_hash(submitted).hex() == stored


def test_a_job_that_any_version_stored_is_recognised(client: Client, connection: Connection) -> None:
    for stored, submitted in (VERSION_1 | VERSION_2).items():
        client.submit([submitted])
        connection.execute("UPDATE job SET content_hash = %s", [bytes.fromhex(stored)])
        (again,) = client.submit([submitted])
        assert not again.created
        with pytest.raises(JobConflict):
            client.submit([msgspec.structs.replace(submitted, name="other")])
        client.delete(again)


def test_a_new_field_does_not_change_the_hash() -> None:
    class NewerTask(NewTask, frozen=True, kw_only=True, rename="camel", gc=False):
        more: int = 0

    class NewerJob(NewJob, frozen=True, kw_only=True, rename="camel", gc=False):
        priority: int = 5

    newer = NewerJob(id="a", task=NewerTask(**msgspec.structs.asdict(TASK)))
    assert content_hash(newer) == content_hash(job("a"))


SAME = {
    "null, absent and empty": (
        job("a"),
        job("a", name="", description="", external_data="", labels={}, delay=0),
        job("a", name=None, description=None, external_data=None, labels=None, delay=None, partition_id=None),
    ),
    "prerequisites as a set": (job("a", "x", "y,pc"), job("a", "y,pc", "x", "x")),
    "no prerequisites": (
        msgspec.structs.replace(job("a"), prerequisite_job_ids=None),
        msgspec.structs.replace(job("a"), prerequisite_job_ids=[]),
        job("a"),
    ),
    "labels in another order": (
        job("a", labels={"k": "1", "l": None}),
        job("a", labels={"l": None, "k": "1"}),
    ),
    "an object and its text": (
        new_job("a", {"b": 1, "a": [1.5]}),
        new_job("a", '{ "a": [1.5], "b": 1 }'),
        new_job("a", "eyJhIjpbMS41XSwiYiI6MX0=", task_data_encoding="base64"),
        read_job(
            b'{"id":"a","task":{"taskPipe":"in","taskApiVersion":1,"taskData":{"b":1, "a" :[1.5]},'
            b'"taskClassifier":"W","targetPipe":null}}'
        ),
    ),
    "a text and its bytes": (
        new_job("a", "text"),
        new_job("a", "dGV4dA==", task_data_encoding="base64"),
        new_job("a", "text", task_data_encoding="utf8"),
    ),
}


def test_the_same_content_in_other_words_is_a_no_op(client: Client) -> None:
    for what, jobs in SAME.items():
        for first in jobs:
            client.submit([first])
            assert [submitted.created for submitted in client.submit(jobs)] == [False], what
            client.delete("a")


OTHER = {
    "a label's null and empty": (job("a", labels={"k": None}), job("a", labels={"k": ""})),
    "a label and none": (job("a", labels={"k": None}), job("a")),
    "numbers in other words": (new_job("a", '{"a": 1.5}'), new_job("a", '{"a": 1.50}')),
    "a key that comes twice": (new_job("a", '{"a": 1, "a": 2}'), new_job("a", '{"a": 2}')),
    "blanks in what is no object": (new_job("a", "[1, 2]"), new_job("a", "[1,2]")),
    "an object and a string of it": (new_job("a", '{"a":1}'), new_job("a", '"{\\"a\\":1}"')),
    "a prerequisite that may be gone": (job("a", "b"), job("a", "b,pc")),
}


def test_other_content_is_a_conflict(client: Client) -> None:
    for one, other in OTHER.values():
        client.submit([one])
        with pytest.raises(JobConflict):
            client.submit([other])
        client.delete("a")
