"""The rows of new jobs fit the COPY statements that take them."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tracker.store import job_rows
from tracker.store.steps import Copy, Verb

KINDS: list[tuple[Callable[[Iterable[Any]], Verb[None]], type[tuple[Any, ...]]]] = [
    (job_rows.copy_jobs, job_rows.JobRow),
    (job_rows.copy_labels, job_rows.LabelRow),
    (job_rows.copy_prerequisites, job_rows.PrerequisiteRow),
    (job_rows.copy_task_messages, job_rows.TaskMessageRow),
]


@pytest.mark.parametrize(("copy", "row"), KINDS, ids=[row.__name__ for _, row in KINDS])
def test_a_row_has_the_columns_of_its_statement(
    copy: Callable[[Iterable[Any]], Verb[None]], row: type[tuple[Any, ...]]
) -> None:
    fields: tuple[str, ...] = row._fields  # type: ignore[attr-defined]
    step = next(copy([tuple(fields)]))
    assert isinstance(step, Copy)
    columns = re.search(r"COPY \w+ \(([^)]*)\)", step.statement.as_string())
    assert columns is not None
    assert tuple(re.split(r",\s*", columns[1])) == fields
    assert len(step.types) == len(fields)
