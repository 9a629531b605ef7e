"""A filter selects the jobs that it describes, whatever is in it."""

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.jobs.naive_filter import StoredJob, matches
from tests.support.databases import new_database
from tests.support.jobs import job, rows
from tracker import Client, InvalidQuery, JobStatus
from tracker.identifiers import JobName
from tracker.job_filter import (
    EVERY_JOB,
    AllOf,
    AnyOf,
    Begins,
    Compares,
    Comparison,
    DependsOn,
    HasAttempt,
    HasLabel,
    HasName,
    HasPercentage,
    HasStatus,
    HasText,
    HasTime,
    IsNull,
    JobFilter,
    Like,
    NoneOf,
    Not,
    OneOf,
    TextField,
    TextTest,
    TimeField,
    WaitsFor,
)
from tracker.jobs.query import count_jobs, list_jobs
from tracker.jobs.rsql import read_rsql
from tracker.stack import LocalStack
from tracker.store.connect import connect

HOSTILE = [
    "x') or ('a'='a",
    "x'; DROP TABLE tracker.job; --",
    '"',
    "'",
    "\\",
    "\\'",
    "%",
    "_",
    "%(limit)s",
    "{conditions}",
    "$1",
    "a_b",
    "a\\%b",
    "*",
    "-- ",
    "/*",
    "\N{PILE OF POO}é",
]
TEXTS = ["", "a", "A", "b", "B", "ab", "Ab", "aB", "é", "É", "z", "a\nb", *HOSTILE]
IDS = ["a", "A", "b", "ab", "aB", "a_b", "a%b", "a'b", 'a"b', "a\\b", "é", "10", "9"]
TIME_MS = 1_700_000_000_000
CHAIN = {"ab": ["é", "9"], "aB": ["ab"], "a_b": ["aB", "nobody"]}
PERCENTAGES = [0, 4_999, 5_000, 33_333_333, 33_335_000, 99_999_999, 100_000_000]


@pytest.fixture(scope="module")
def url(stack: LocalStack, template_database: str) -> Iterator[str]:
    with new_database(stack, template=template_database) as (_, url):
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


@pytest.fixture(scope="module")
def stored(client: Client, url: str) -> list[StoredJob]:
    """Jobs in three partition IDs with all sorts of texts, and the nulls that the client shows as empty."""
    new = []
    for number, job_id in enumerate(IDS * 3):
        labels = {
            key: None if number % 5 == place else TEXTS[(number + place) % len(TEXTS)]
            for place, key in enumerate(("a", "A", "x:y"))
            if number % (place + 2)
        }
        name = None if number % 4 == 0 else TEXTS[number % len(TEXTS)]
        partition_id = ("p", "P", "p'q")[number // len(IDS)]
        prerequisites = [f"{each},pc" for each in IDS[: number % 3] if each != job_id and "'" not in each]
        new.append(
            job(
                job_id,
                *(prerequisites if job_id in {"é", "10", "9"} else CHAIN.get(job_id, ())),
                partition_id=partition_id,
                name=name,
                labels=labels,
            )
        )
    client.submit(new)
    with closing(connect(url, autocommit=True)) as connection:
        _spread(connection)
        names = dict(rows(connection, "SELECT job_key, name FROM job"))
        attempts = dict(rows(connection, "SELECT job_key, attempt FROM job"))
        keys = {
            (partition_id, job_id): key
            for partition_id, job_id, key in rows(
                connection, "SELECT partition_id, job_id, job_key FROM job JOIN tenant USING (tenant_key)"
            )
        }
        labels_of: dict[int, dict[str, str | None]] = {}
        for key, label_key, value in rows(connection, "SELECT job_key, label_key, label_value FROM label"):
            labels_of.setdefault(key, {})[label_key] = value
        waiting = _waiting(connection)
    found = []
    for each in client.list(limit=0):
        key = keys[each.partition_id, each.id]
        fields = {name: getattr(each, name) for name in each.__struct_fields__}
        found.append(
            StoredJob(
                **fields,
                stored_name=names[key],
                stored_attempt=attempts[key],
                stored_labels=labels_of.get(key, {}),
                stored_waits_for=frozenset(waiting.get(JobName(each.partition_id, each.id), ())),
                stored_upstream=_upstream(waiting, JobName(each.partition_id, each.id)),
            )
        )
    assert any(each.prerequisite_job_ids for each in found)
    assert any(each.stored_upstream > each.stored_waits_for > set() for each in found)
    return found


def _waiting(connection: psycopg.Connection[Any]) -> dict[JobName, set[JobName]]:
    """Return what each job waits for that has not ended, or failed because of another one."""
    found: dict[JobName, set[JobName]] = {}
    for partition_id, job_id, prerequisite in rows(
        connection,
        """
        SELECT partition_id, job_id, prerequisite_job_id
        FROM prerequisite JOIN job USING (tenant_key, job_key) JOIN tenant USING (tenant_key)
        WHERE status <= 2 OR root_job_id IS NOT NULL
        """,
    ):
        found.setdefault(JobName(partition_id, job_id), set()).add(JobName(partition_id, prerequisite))
    return found


def _upstream(waiting: dict[JobName, set[JobName]], name: JobName) -> frozenset[JobName]:
    found = set(waiting.get(name, ()))
    return frozenset(found.union(*(_upstream(waiting, each) for each in found)))


def _spread(connection: psycopg.Connection[Any]) -> None:
    """Give the jobs different statuses, percentages, and times a fraction of a millisecond apart."""
    connection.execute(
        """
        UPDATE job SET status = job_key %% 6, attempt = 1 + job_key %% 3,
            root_job_id = CASE WHEN job_key %% 12 = 3 THEN 'a' END,
            percentage = (%s::integer[])[job_key %% %s + 1],
            create_time = to_timestamp(%s / 1000) + job_key %% 4 * interval '500 microseconds',
            last_update_time = to_timestamp(%s / 1000) + job_key %% 3 * interval '1 millisecond'
        """,
        [PERCENTAGES, len(PERCENTAGES), TIME_MS, TIME_MS],
    )


texts = st.sampled_from([*TEXTS, *IDS, "p", "P", "p'q"])
several_texts = st.lists(texts, min_size=1, max_size=3).map(tuple)
comparisons = st.sampled_from(Comparison)
patterns = st.lists(st.sampled_from(["a", "b", "A", "%", "_", "\\", "'", "*", "é"]), max_size=4).map("".join)
tests: st.SearchStrategy[TextTest] = st.one_of(
    several_texts.map(OneOf),
    several_texts.map(NoneOf),
    texts.map(Begins),
    st.builds(Like, patterns, st.booleans()),
    st.builds(Compares, comparisons, texts),
    st.builds(IsNull, st.booleans()),
)
times = st.integers(TIME_MS - 1, TIME_MS + 3)
percentages = st.sampled_from([Decimal(text) for text in ("0", "0.01", "33.33", "33.34", "33.333", "100")])
conditions: st.SearchStrategy[JobFilter] = st.one_of(
    st.lists(st.builds(JobName, st.sampled_from(["p", "P"]), st.sampled_from(IDS)), max_size=3).map(
        lambda names: HasName(tuple(names))
    ),
    st.lists(st.sampled_from(JobStatus), max_size=3).map(lambda statuses: HasStatus(tuple(statuses))),
    st.builds(HasText, st.sampled_from(TextField), tests),
    st.builds(HasLabel, st.sampled_from(["a", "A", "x:y", "", "'"]), st.none() | tests),
    st.builds(WaitsFor, st.none() | tests),
    st.builds(
        DependsOn,
        st.builds(JobName, st.sampled_from(["p", "P", "q"]), st.sampled_from([*IDS, "nobody"])),
        st.booleans(),
    ),
    st.builds(HasAttempt, st.lists(st.integers(0, 4), min_size=1).map(tuple), st.none() | comparisons),
    st.builds(HasPercentage, st.lists(percentages, min_size=1).map(tuple), st.none() | comparisons),
    st.builds(
        HasTime,
        st.sampled_from(TimeField),
        st.lists(times, min_size=1, max_size=3).map(tuple),
        st.none() | comparisons,
    ),
)
filters: st.SearchStrategy[JobFilter] = st.recursive(
    conditions,
    lambda parts: st.one_of(
        st.lists(parts, max_size=3).map(lambda parts: AllOf(tuple(parts))),
        st.lists(parts, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
        parts.map(Not),
    ),
    max_leaves=8,
)


def assert_selects(client: Client, stored: list[StoredJob], wanted: JobFilter) -> None:
    expected = {str(each) for each in stored if matches(each, wanted)}
    found = [str(each) for each in client.run(list_jobs(wanted))]
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert client.run(count_jobs(wanted)) == len(expected)


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(wanted=filters)
@example(wanted=EVERY_JOB)
@example(wanted=AnyOf())
@example(wanted=HasStatus((JobStatus.FAILED, JobStatus.FAILED)))
@example(wanted=AllOf((HasStatus((JobStatus.FAILED,)), HasStatus((JobStatus.ACTIVE,)))))
@example(wanted=AllOf((HasStatus((JobStatus.FAILED,)), Not(HasName((JobName("p", "b"),))))))
@example(wanted=AllOf((HasStatus((JobStatus.FAILED,)), HasText(TextField.PARTITION_ID, OneOf(("p",))))))
@example(wanted=Not(HasText(TextField.NAME, OneOf(("a",)))))
@example(wanted=HasTime(TimeField.CREATE_TIME, (TIME_MS,), Comparison.GREATER))
@example(wanted=HasTime(TimeField.CREATE_TIME, (TIME_MS,), Comparison.LESS_EQUAL))
def test_a_filter_selects_the_same_jobs_as_its_meaning_in_python(
    client: Client, stored: list[StoredJob], wanted: JobFilter
) -> None:
    assert_selects(client, stored, wanted)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


selectors = st.sampled_from(["id", "partitionId", "name", "labels.a", "labels.x:y", "labels.none"])
written = st.builds(
    "{}{}{}".format, selectors, st.sampled_from(["==", "!=", "=gt=", ">=", "=lt=", "<="]), texts.map(quoted)
) | st.builds(
    lambda selector, operator, values: f"{selector}{operator}({','.join(map(quoted, values))})",
    selectors,
    st.sampled_from(["=in=", "=out="]),
    several_texts,
)
expressions = st.recursive(
    written,
    lambda parts: st.builds(
        lambda joined, parts: f"({joined.join(parts)})",
        st.sampled_from([";", ",", " and ", " or "]),
        st.lists(parts, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(rsql=expressions)
def test_rsql_of_any_texts_selects_what_it_says(client: Client, stored: list[StoredJob], rsql: str) -> None:
    assert_selects(client, stored, read_rsql(rsql))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_sql(client: Client, stored: list[StoredJob], text: str) -> None:
    for selector in ("id", "partitionId", "name", "labels.a", "waitsFor"):
        for operator in ("==", "!=", "=in=", "=out="):
            rsql = f"{selector}{operator}{quoted(text)}"
            expected = {str(each) for each in stored if matches(each, read_rsql(rsql))}
            assert {str(each) for each in client.list(matching=rsql, limit=0)} == expected
    assert client.list(partition_id="p", matching=f"name=={quoted(text.replace('*', '+'))}", limit=0) == [
        each for each in client.list(partition_id="p", limit=0) if each.name == text.replace("*", "+")
    ]


@pytest.mark.parametrize("key", ["a'b", "a;DROP", "a--", "{key}", "%(x)s", "a%b"])
def test_no_key_of_a_label_becomes_sql(client: Client, stored: list[StoredJob], key: str) -> None:
    assert client.list(label=f"{key}=v") == client.list(label=key) == []
    for character in "';()":
        if character in key:
            with pytest.raises(InvalidQuery, match="column"):
                client.list(matching=f"labels.{key}==v")
            return
    assert client.list(matching=f"labels.{key}==v") == []


def test_a_filter_is_added_to_the_other_arguments(client: Client, stored: list[StoredJob]) -> None:
    both = client.list(partition_id="p", status="failed", matching="name==*,name=isnull=true", limit=0)
    assert {str(each) for each in both} == {
        str(each) for each in stored if each.partition_id == "p" and each.status is JobStatus.FAILED
    }
    assert both
    assert client.count(matching=HasText(TextField.PARTITION_ID, OneOf(("p",)))) == len(IDS)
    with pytest.raises(InvalidQuery, match="what jobs must match is a number, not RSQL or a JobFilter"):
        client.count(matching=7)  # type: ignore[arg-type]


@pytest.mark.parametrize("sort", ["id", "-id", "createTime", "-createTime", "lastUpdateTime"])
def test_open_jobs_come_in_every_order(client: Client, stored: list[StoredJob], sort: str) -> None:
    everything = [str(each) for each in client.list(sort=sort, limit=0)]
    statuses = {str(each): each.status for each in stored}
    wanted = [JobStatus.FAILED, JobStatus.ACTIVE]
    expected = [name for name in everything if statuses[name] in wanted]
    assert [str(each) for each in client.list(sort=sort, status=wanted, limit=0)] == expected
    assert [str(each) for each in client.list(sort=sort, status=wanted, limit=5)] == expected[:5]


def test_filters_combine(stored: list[StoredJob]) -> None:
    failed, active = HasStatus((JobStatus.FAILED,)), HasStatus((JobStatus.ACTIVE,))
    assert failed & active & EVERY_JOB == AllOf((failed, active))
    assert failed | active == AnyOf((failed, active))
    assert ~failed == Not(failed)
