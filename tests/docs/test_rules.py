"""The table of rules names tests that exist."""

import re
from pathlib import Path

_TESTS = Path(__file__).parent.parent
_PAGE = _TESTS.parent / "docs" / "rules.md"


def named_tests() -> list[tuple[str, str]]:
    """Return the files and functions that the page names; an ellipsis stands for the file named before it."""
    found: list[tuple[str, str]] = []
    for file, function in re.findall(r"`(…|[\w/]+\.py)::(test_\w+)`", _PAGE.read_text(encoding="utf-8")):
        found.append((found[-1][0] if file == "…" else file, function))
    return found


def test_every_test_that_the_page_names_exists() -> None:
    named = named_tests()
    missing = [
        (file, function)
        for file, function in named
        if not re.search(rf"^def {function}\(", (_TESTS / file).read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert len(named) > 80
    assert not missing
