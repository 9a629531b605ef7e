"""docs/troubleshooting.md shows what the commands print in each situation: they are typed, and compared.

With `WRITE_PAGE=1` in the environment, the page is written with what they print.
"""

import os
import re
import shlex
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import DEADLINE_S, wait_until
from tests.troubleshooting.situations import SITUATIONS
from tracker.cli.commands import app
from tracker.jobs.action import os_user

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
SESSION = re.compile(r"<!-- ([a-zA-Z ]+) -->\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LOG_LINE = re.compile(r"^\d{4}-\d\d-\d\d .*\n", re.MULTILINE)  # of the members that run in this process
ONLY_READ = ("why", "show", "list", "missing", "failures")
OF_THE_RUN = (
    (re.compile(r" \d+ groups were not asked\."), ""),  # those of other tests
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( UTC|Z)"), r"2026-01-01 00:00:00\1"),
    (re.compile(r"\b\d+ (second|minute)s?\b"), "5 seconds"),
    (re.compile(r":\d:\d+\b"), ":0:17"),
    (re.compile(r" {2,}"), "  "),
)


def sessions() -> dict[str, str]:
    return dict(SESSION.findall(PAGE.read_text("utf-8")))


def names(tracker: Deployment) -> dict[str, str]:
    """Return what the page calls the topics and the group."""
    topics = tracker.topics
    return {
        topics.tracking: "tracking",
        topics.work: "documents",
        topics.results: "results",
        topics.dead_letters: "tracker-dead-letter",
        tracker.group_id: "tracker",
    }


def typed(tracker: Deployment, command: str) -> str:
    """Type a command, and return what it prints, with the names of the page."""
    result = CliRunner().invoke(app, shlex.split(command)[1:], env=tracker.variables)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    output = LOG_LINE.sub("", result.output)
    for own, name in names(tracker).items():
        output = output.replace(own, name)
    return output.replace(f" by {os_user()}.", " by anna.")


def alike(output: str) -> str:
    for pattern, same in OF_THE_RUN:
        output = pattern.sub(same, output)
    return "\n".join(line.rstrip() for line in output.splitlines())


def repeat(tracker: Deployment, session: str) -> str:
    """Type the commands of a session, and return it with what they print."""
    lines = []
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
        output = typed(tracker, command)
        if command.split()[2] in ONLY_READ and "WRITE_PAGE" not in os.environ:
            output = _typed_until(tracker, command, expected, output)
        lines.append(f"$ {command}\n{output}")
    return "".join(lines)


def _typed_until(tracker: Deployment, command: str, expected: str, output: str) -> str:
    """Repeat a command that only reads until it prints what is expected: the tracker may need a moment."""
    found = [output]

    def right() -> bool:
        found.append(typed(tracker, command))
        return alike(found[-1]) == alike(expected)

    if alike(output) != alike(expected):
        with suppress(AssertionError):  # the caller shows the difference
            wait_until(right, "the output", DEADLINE_S / 4)
    return found[-1]


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_session_is_what_is_printed(deploy: Deploy, name: str) -> None:
    tracker = deploy()
    session = sessions()[name]
    with SITUATIONS[name](tracker):
        found = repeat(tracker, session)
    if "WRITE_PAGE" in os.environ:
        begin = f"<!-- {name} -->\n```text\n"
        PAGE.write_text(PAGE.read_text("utf-8").replace(begin + session, begin + found), "utf-8")
    assert alike(found) == alike(session)


def test_each_session_of_the_page_has_a_situation() -> None:
    assert sessions().keys() == SITUATIONS.keys()
