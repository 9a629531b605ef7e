"""The page of results is generated from the summaries beside it, and no raw file is in the repository."""

import re
from pathlib import Path

import pytest

from bench.page import page
from bench.report import read

_RESULTS = Path(__file__).parent.parent.parent / "docs" / "results"
_PAGE = _RESULTS / "README.md"


def test_the_page_is_what_the_summaries_say() -> None:
    text = _PAGE.read_text(encoding="utf-8")
    command = re.search(r"`python -m bench page (.+?)`", text)
    assert command is not None

    assert text == page([_RESULTS / name for name in command[1].split()])


@pytest.mark.parametrize("path", sorted(_RESULTS.glob("*.json")), ids=lambda path: path.name)
def test_a_file_of_figures_is_a_summary(path: Path) -> None:
    assert "summary_format" in read(path)
    assert f"]({path.name})" in _PAGE.read_text(encoding="utf-8")
    assert len(path.read_text(encoding="utf-8").splitlines()) < 700
