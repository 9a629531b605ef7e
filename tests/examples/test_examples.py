"""Every example in README, docs and `examples/` runs, and prints what the document says."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

from tests.examples.not_run import NO_EXAMPLES, NOT_RUN, why_not
from tests.examples.reader import ROOT, Reader

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/*.md", "deploy/**/*.md")
    for path in ROOT.glob(pattern)
)
LANGUAGES = ("sh", "console", "python", "sql", "json")


def parse(path: Path) -> Document:
    """Return a document with its examples, which are evaluated by the reader in their namespace."""

    def parser(language: str) -> CodeBlockParser:
        return CodeBlockParser(language, lambda example: evaluate(example, language))

    return Sybil(parsers=[parser(language) for language in LANGUAGES]).parse(path)


def evaluate(example: Example, language: str) -> str | None:
    if language == "json":
        json.loads(example.parsed)
        return None
    reader: Reader = example.namespace["reader"]
    run = {
        "sh": reader.run_shell,
        "console": reader.run_console,
        "python": reader.run_python,
        "sql": reader.run_sql,
    }
    return run[language](example)


def shell_lines() -> Iterator[tuple[Path, str]]:
    for path in DOCUMENTS:
        for block in re.findall(r"^```sh\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            yield from ((path, line) for line in block.splitlines() if line.strip())


def is_run(text: str) -> bool:
    """Whether there is anything in a document that needs a reader."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return any(
        language in ("console", "python", "sql")
        or (language == "sh" and any(why_not(line) is None for line in block.splitlines()))
        for language, block in blocks
    )


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_example_of_a_document_runs(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    document = parse(path)
    if not is_run(path.read_text("utf-8")):
        for example in document.examples():
            if example.region.lexemes["arguments"] == "json":
                example.evaluate()
        return
    servers = request.getfixturevalue("bootstrap_servers"), request.getfixturevalue("database_url")
    with Reader(*servers, tmp_path) as reader:
        if "worker-in" in path.read_text("utf-8"):
            reader.start_worker()
        document.namespace["reader"] = reader
        for example in document.examples():
            example.evaluate()


def test_every_shell_example_can_be_parsed() -> None:
    for path in DOCUMENTS:
        for block in re.findall(r"^```sh\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            checked = subprocess.run(["bash", "-n"], input=block.encode(), capture_output=True, check=False)
            assert checked.returncode == 0, (path, checked.stderr.decode())


def test_every_block_has_a_language_that_is_run_or_listed() -> None:
    for path in DOCUMENTS:
        fences = re.findall(r"^```(.*)$", path.read_text("utf-8"), re.MULTILINE)
        for language in fences[::2]:  # every other one closes a block
            assert language in LANGUAGES or language in NO_EXAMPLES, (path, language)


def test_what_is_not_run_is_listed_for_a_line_that_is_there() -> None:
    used = {why_not(line) for _, line in shell_lines()}
    assert set(NOT_RUN) <= used


def test_every_target_of_make_that_is_shown_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for path, line in shell_lines():
        if target := re.match(r"make ([a-z-]+)", line):
            assert re.search(rf"^{target[1]}:", makefile, re.MULTILINE), (path, line)
