"""What holds for the text of every statement."""

import re

import pytest

from tracker.job_status import STATUSES
from tracker.store.queries import statement_files

STATEMENTS = {name: file.read_text(encoding="utf-8") for name, file in statement_files().items()}
# A number that a status is compared with or set to, also in the branches of a CASE and in a list.
STATUS_NUMBER = re.compile(r"(?:status (?:[<>=]+|IN \() ?|WHEN )(\d)\b([^\n]{0,16})")


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_the_number_of_a_status_is_explained(name: str) -> None:
    for number, following in STATUS_NUMBER.findall(STATEMENTS[name]):
        assert following.startswith(f" /* {STATUSES[int(number)]} */"), f"status {number} in {name}.sql"


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_a_statement_begins_with_what_it_is_for(name: str) -> None:
    assert re.match(r"-- [A-Z][^\n]+", STATEMENTS[name]), f"{name}.sql begins with no sentence"
