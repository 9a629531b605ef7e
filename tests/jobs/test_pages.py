"""Pages: one after the other they are the whole list, and a cursor is checked."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.client_fixtures import Connection
from tests.support.databases import new_database
from tests.support.jobs import job, set_status
from tracker import Client, InvalidQuery, JobStatus
from tracker.jobs.cursor import MAX_CHARS, read_cursor, write_cursor
from tracker.jobs.filter import Sort, SortField
from tracker.jobs.filter_text import read_sort
from tracker.stack import LocalStack

SORTS = ["createTime", "-createTime", "lastUpdateTime", "-lastUpdateTime", "id", "-id"]
FILTERS: list[dict[str, Any]] = [
    {},
    {"partition_id": "p"},
    {"status": "Waiting"},
    {"matching": "status!=Completed;id!=a1"},
    {"matching": "labels.even==yes"},
    {"prefix": "a"},
    {"matching": "id==none"},
]
LONGEST = ("\U0010ffff" * 40, "\U0010ffff" * 48)


@pytest.fixture
def many(client: Client, connection: Connection) -> Client:
    """Jobs of three partition IDs, of which some were created at once, or updated at once."""
    client.submit(
        [
            job(f"{letter}{number}", partition_id=partition_id, labels={"even": "yes"} if number % 2 else {})
            for partition_id in ("q", "p", LONGEST[0])
            for letter in "aB"
            for number in range(4)
        ]
    )
    client.submit([job(LONGEST[1], partition_id=LONGEST[0]), job("later", partition_id="p")])
    connection.execute("UPDATE job SET last_update_time = now() WHERE job_id LIKE '%2'")
    set_status(connection, "a3", JobStatus.COMPLETED)
    set_status(connection, "B3", JobStatus.FAILED)
    return client


def pages(client: Client, limit: int, sort: str, **filters: Any) -> Iterator[list[str]]:
    after = None
    while True:
        page = client.list_page(limit=limit, sort=sort, after=after, **filters)
        yield list(map(str, page.jobs))
        if page.next is None:
            return
        assert len(page.jobs) == limit
        after = page.next


@pytest.mark.parametrize("sort", SORTS)
def test_the_pages_of_a_list_are_the_list(many: Client, sort: str) -> None:
    for filters in FILTERS:
        whole = list(map(str, many.list(limit=0, sort=sort, **filters)))
        for limit in (1, 3, max(len(whole), 1), 100):
            found = list(pages(many, limit, sort, **filters))
            assert [name for page in found for name in page] == whole
            assert len(found) == max(-(-len(whole) // limit), 1)
        assert many.list_page(limit=0, sort=sort, **filters).next is None


def test_jobs_that_come_and_go_change_no_other_page(many: Client, connection: Connection) -> None:
    whole = list(map(str, many.list(limit=0)))
    first = many.list_page(limit=5)
    many.submit([job("newer")])
    many.delete(first.jobs)
    rest = many.list(limit=0, after=first.next)
    assert list(map(str, rest)) == whole[5:]
    assert [str(found) for found in many.iterate(after=first.next)] == whole[5:]


def test_a_cursor_is_of_its_sort(client: Client) -> None:
    client.submit([job("a"), job("b")])
    for sort in SORTS:
        cursor = client.list_page(limit=1, sort=sort).next
        for other in SORTS:
            if other != sort:
                with pytest.raises(
                    InvalidQuery, match=f"is of a list sorted by {sort}, and this list is sorted by {other}"
                ):
                    client.list(sort=other, after=cursor)
    with pytest.raises(InvalidQuery, match="the cursor is a number, not a string"):
        client.list(after=7)  # type: ignore[arg-type]


def test_the_longest_names_have_a_cursor() -> None:
    cursor = write_cursor(Sort(SortField.ID), LONGEST)
    assert len(cursor) <= MAX_CHARS
    assert read_cursor(cursor, Sort(SortField.ID)) == LONGEST


CURSOR = write_cursor(read_sort("-createTime"), (datetime(2026, 3, 1, 12, 0, 0, 123_457, UTC), 7))


@settings(deadline=None)
@given(st.text() | st.integers(0, len(CURSOR) - 1).flatmap(
    lambda place: st.characters().map(lambda new: CURSOR[:place] + new + CURSOR[place + 1 :])
))  # fmt: skip
@example("")
@example(CURSOR + "A")
@example(CURSOR[:-1])
@example("A" * 1_000_000)
def test_what_no_list_has_given_is_refused(text: str) -> None:
    sort = read_sort("-createTime")
    position = read_cursor(CURSOR, sort)
    assert position == (datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(microseconds=123_457), 7)
    try:
        read = read_cursor(text, sort)
    except InvalidQuery as error:
        refusal = str(error)
    else:
        assert read == position  # base64 has several texts for the same bytes
        return
    assert "is not a cursor that a list has given" in refusal
    assert len(refusal) < 1_500


@pytest.fixture(scope="module")
def one_client(stack: LocalStack, template_database: str) -> Iterator[Client]:
    with new_database(stack, template=template_database) as (_, url), Client(url) as client:
        client.submit([job("a")])
        yield client


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(SORTS),
    st.one_of(
        st.tuples(st.datetimes(timezones=st.just(UTC)), st.integers(-(1 << 63), (1 << 63) - 1)),
        st.tuples(st.text(), st.text()),
    ),
)
@example("-id", ("a\0", "b"))
@example("id", ("'; DROP TABLE job; --", "' || 'x"))
@example("createTime", (datetime.min.replace(tzinfo=UTC), -(1 << 63)))
@example("createTime", (datetime.max.replace(tzinfo=UTC), (1 << 63) - 1))
def test_a_cursor_that_somebody_made_up_does_no_harm(
    one_client: Client, sort: str, position: tuple[datetime, int] | tuple[str, str]
) -> None:
    try:
        cursor = write_cursor(read_sort(sort), position)
    except UnicodeEncodeError:
        return
    with suppress(InvalidQuery):
        assert len(one_client.list(sort=sort, after=cursor)) <= 1
    assert one_client.count() == 1
