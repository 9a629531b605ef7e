"""Jobs made up by chance: each is stored as it is, or refused in a sentence, and then nothing is stored."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.jobs import as_json
from tests.support.profile import FACTOR
from tracker import Client
from tracker.cli.jobs_file import read_jobs
from tracker.errors import TrackerError

# Hypothesis looks whether a strategy uses `random`, and the threads of the client's pool do meanwhile.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")

GIANT = "a whole number of 5,000 digits"  # which Python writes only so
DEEP = "many levels"

REAL = settings(
    max_examples=120 * FACTOR,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

_texts = st.text(max_size=10) | st.sampled_from(
    [
        "",
        "\0",
        "a",
        "b,pc",
        ",pc",
        " ",
        "\ud800",
        "\U0001f600",
        "utf8",
        "base64",
        "e30=",
        "x" * 256,
        "__x",
        "..",
    ]
)
_json = st.recursive(
    st.none()
    | st.booleans()
    | _texts
    | st.integers(-2, 2)
    | st.sampled_from([2**31 - 1, 2**31, 2**63, 2**64, GIANT, DEEP])
    | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_fields = st.sampled_from(
    [
        "id",
        "partitionId",
        "name",
        "description",
        "externalData",
        "labels",
        "prerequisiteJobIds",
        "delay",
        "task",
    ]
)
_task_fields = st.sampled_from(
    ["taskClassifier", "taskApiVersion", "taskData", "taskDataEncoding", "taskPipe", "targetPipe", "more"]
)


@st.composite
def jobs(draw: st.DrawFn) -> Any:
    """A sound job with anything at all in a few places, or anything at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(_json)
    job = as_json(draw(st.sampled_from(["a", "b", "c"])))
    for _ in range(draw(st.integers(0, 2))):
        if isinstance(job["task"], dict) and draw(st.booleans()):
            job["task"][draw(_task_fields)] = draw(_json)
        else:
            job[draw(_fields)] = draw(_json)
    return job


def written(document: Any, *, ascii_only: bool) -> bytes:
    text = json.dumps(document, ensure_ascii=ascii_only)
    text = text.replace(f'"{GIANT}"', "9" * 5_000).replace(f'"{DEEP}"', '{"x":' * 3_000 + "1" + "}" * 3_000)
    return text.encode("utf-8", "surrogatepass")


@pytest.fixture
def open_client(database_url: str) -> Iterator[Client]:
    with Client(database_url) as client:
        yield client


def submit(client: Client, given_jobs: Any) -> None:
    """Submit; whatever is said must be a sentence, and only what was not refused may be there."""
    before = client.count()
    try:
        stored = client.submit(given_jobs)
    except TrackerError as error:
        said = str(error)
        assert said.isprintable(), said
        assert client.count() == before
    else:
        assert client.count() == before + sum(each.created for each in stored)
        for each in stored:
            assert str(client.get(each)) == str(each)
        if stored:
            client.delete([str(each) for each in stored])


@given(st.lists(jobs(), max_size=3), st.booleans(), st.sampled_from([b"\n", b"", b"[", b"\xff"]))
@REAL
def test_a_file_of_jobs(
    open_client: Client, tmp_path_factory: Any, documents: list[Any], ascii_only: bool, between: bytes
) -> None:
    lines = [written(document, ascii_only=ascii_only) for document in documents]
    data = b"[" + b",".join(lines) + b"]" if between == b"[" else between.join(lines)
    path = tmp_path_factory.getbasetemp() / "fuzzed-jobs"
    path.write_bytes(data)
    try:
        read, _ = read_jobs(str(path))
    except TrackerError as refused:
        said = str(refused)
    else:
        said = "fine"
        submit(open_client, read)
    assert said.isprintable()


@given(st.lists(jobs(), max_size=3))
@REAL
def test_jobs_of_a_program(open_client: Client, documents: list[Any]) -> None:
    """Which may hold what JSON cannot: half characters, numbers of any size, NaN."""
    submit(open_client, [with_giants(document) for document in documents])


def with_giants(value: Any) -> Any:
    if value == GIANT:
        return 10**5_000
    if isinstance(value, dict):
        return {key: with_giants(each) for key, each in value.items()}
    if isinstance(value, list):
        return [with_giants(each) for each in value]
    return value
