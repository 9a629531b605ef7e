"""The words in which people write a filter or a sort."""

import pytest

from tracker import InvalidQuery, JobStatus
from tracker.job_filter import HasLabel, OneOf
from tracker.jobs.filter import Sort, SortField
from tracker.jobs.filter_text import read_label, read_prefix, read_sort, read_status
from tracker.store.conditions import SORT_COLUMNS


@pytest.mark.parametrize("text", ["Completed", "completed", "COMPLETED"])
def test_a_status_is_read_in_upper_and_lower_case(text: str) -> None:
    assert read_status(text) is JobStatus.COMPLETED


def test_a_sort_is_descending_after_a_minus() -> None:
    assert read_sort("createTime") == Sort(SortField.CREATE_TIME)
    assert read_sort("-lastUpdateTime") == Sort(SortField.LAST_UPDATE_TIME, descending=True)


def test_every_sort_has_columns() -> None:
    assert set(SortField) == SORT_COLUMNS.keys()


def test_a_label_is_a_key_with_or_without_a_value() -> None:
    assert read_label("owner") == HasLabel("owner")
    assert read_label("owner=") == HasLabel("owner", OneOf(("",)))
    assert read_label("owner=a=b") == HasLabel("owner", OneOf(("a=b",)))


def test_what_does_not_exist_is_refused_with_what_does() -> None:
    with pytest.raises(InvalidQuery, match="'done' is not a status: Waiting, Active, Paused"):
        read_status("done")
    for text in ("name", "--id", "ID", ""):
        with pytest.raises(
            InvalidQuery, match="is not a sort: createTime, lastUpdateTime, id, with - before"
        ):
            read_sort(text)


@pytest.mark.parametrize("text", ["a\0", "\ud800"])
def test_a_text_that_no_job_can_have_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery, match="the label"):
        read_label(text)
    with pytest.raises(InvalidQuery, match="the prefix"):
        read_prefix(text)
