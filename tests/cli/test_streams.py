"""Text that the terminal cannot show is escaped, in tables, JSON, and sentences."""

import json
import subprocess
import sys

import pytest

from tests.support.program import ROOT
from tracker import Client, NewJob, NewTask
from tracker.stack.server import clean_environment

NAME = "Größe 😀"
ASCII = {"PYTHONIOENCODING": "ascii"}
C_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.fixture
def with_job(database_url: str) -> str:
    task = NewTask(task_classifier="c", task_api_version=1, task_data="x", task_pipe="work")
    with Client(database_url) as client:
        client.submit([NewJob(partition_id="acme", id="jöb", name=NAME, task=task)])
    return database_url


def tracker(url: str, locale: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tracker", *arguments],
        env=clean_environment(TRACKER_DATABASE_URL=url, PYTHONPATH=str(ROOT)) | locale,
        capture_output=True,
        encoding="ascii",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("locale", [ASCII, C_LOCALE], ids=["ascii", "C"])
def test_what_cannot_be_shown_is_escaped(with_job: str, locale: dict[str, str]) -> None:
    shown = "Gr\\u00f6\\u00dfe \\ud83d\\ude00"
    for command in (("job", "list"), ("job", "show", "acme:jöb")):
        done = tracker(with_job, locale, *command)
        assert (done.returncode, done.stderr) == (0, "")
        assert "j\\u00f6b" in done.stdout
        assert shown in done.stdout
        done = tracker(with_job, locale, *command, "--json")
        assert json.loads(done.stdout)["name"] == NAME
    done = tracker(with_job, locale, "job", "show", "acme:fählt")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "f\\u00e4hlt" in done.stderr
