"""The check of the project's English, `deploy/words`, which `make check` runs."""

import subprocess
import sys
from pathlib import Path

import pytest

WORDS = Path(__file__).parents[2] / "deploy" / "words"


def look_through(file: Path, text: str) -> tuple[int, str]:
    """Return the exit status and what was printed."""
    file.write_text(text, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, str(WORDS), str(file)], capture_output=True, text=True, check=False
    )
    return ended.returncode, ended.stdout


@pytest.mark.parametrize(
    "sentence",
    [
        "The topic was made anew.",
        "The offset behind the last record.",
        "Whoever sends it waits.",
        "A circle of prerequisites.",
        "The worker goes on.",
        "It steps over the record.",
    ],
)
def test_a_word_that_is_avoided_is_named_with_its_line(tmp_path: Path, sentence: str) -> None:
    status, printed = look_through(tmp_path / "page.md", f"A first line.\n{sentence}\n")
    assert status == 1
    assert printed.startswith(f"{tmp_path / 'page.md'}:2: ")


@pytest.mark.parametrize(
    "sentence",
    ["The group is behind.", "Its offset is behind what is published.", "It leaves nothing behind."],
)
def test_where_it_means_lagging_or_left_it_is_right(tmp_path: Path, sentence: str) -> None:
    assert look_through(tmp_path / "page.md", sentence) == (0, "")
