"""`tracker job why --all-matching`: a line a job, and a summary."""

import json

import pytest

from tests.cli.conftest import Command
from tests.support.jobs import as_json
from tracker.cli import why as why_module
from tracker.diagnosis import many


@pytest.fixture
def jobs(command: Command) -> Command:
    """A paused job, four that wait for it, and one that waits for another."""
    new = [
        as_json("nightly", partitionId="acme"),
        *(as_json(f"w{number}", partitionId="acme", prerequisiteJobIds=["nightly"]) for number in range(4)),
        as_json("x", prerequisiteJobIds=["y"]),
    ]
    command("job", "submit", "--json", stdin="\n".join(map(json.dumps, new)).encode())
    command("job", "pause", "acme:nightly")
    return command


def test_a_line_for_each_job(jobs: Command) -> None:
    done = jobs("job", "why", "--all-matching", "--partition", "acme")
    header, first, *rest = done.lines
    assert header.split() == ["JOB", "STATUS", "REASON"]
    assert first.startswith("acme:nightly  Paused   It has been paused for ")
    assert rest == [f"acme:w{number}       Waiting  It waits for 1 job: acme:nightly." for number in range(4)]


def test_an_object_for_each_job(jobs: Command) -> None:
    done = jobs("job", "why", "--all-matching", "--json", "--waiting-for", "acme:nightly")
    assert [each["id"] for each in done.objects] == ["w0", "w1", "w2", "w3"]
    for each in done.objects:
        assert each["reasons"][0] | {"count": 1, "code": "unmet-prerequisites"} == each["reasons"][0]
        assert each.keys() == {
            "partitionId", "id", "status", "percentageComplete", "reasons", "asOf", "partial",
        }  # fmt: skip


def test_a_summary_has_a_line_for_each_reason(jobs: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = ("job", "why", "--all-matching", "--summary")
    done = jobs(*summary)
    assert done.err == ""
    assert done.lines == [
        "- 4 jobs wait for acme:nightly, which is paused.",
        "    tracker job resume acme:nightly",
        "- 1 job is paused.",
        "- 1 job waits for default:y, which is not stored.",
    ]
    assert jobs(*summary, "--json").objects[0] == {
        "code": "unmet-prerequisites",
        "text": "4 jobs wait for acme:nightly, which is paused.",
        "subject": "acme:nightly",
        "count": 4,
        "command": "tracker job resume acme:nightly",
    }
    assert [each["count"] for each in jobs(*summary, "--json", "--status", "paused").objects] == [1]
    monkeypatch.setattr(why_module, "REASONS_SHOWN", 1)
    assert jobs(*summary).lines[2:] == ["- 2 more reasons, of 2 jobs; --json shows all."]
    monkeypatch.setattr(many, "MOST_JOBS", 5)
    for json_option in ([], ["--json"]):
        assert jobs(*summary, *json_option).err == (
            "There are more: these are the first 5 jobs. Those that have not completed come first, the oldest"
            " first.\n"
        )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "give a JOB, or --all-matching"),
        (("a", "--all-matching"), "give a JOB, or --all-matching"),
        (("a", "--summary"), "are for --all-matching"),
        (("a", "--partition", "p"), "are for --all-matching"),
        (("--all-matching", "--transitive"), "--transitive is for --waiting-for"),
        (("--all-matching", "--filter", "x"), "the filter is wrong"),
        (("a:b:c",), "the job ID has ':'"),
    ],
)
def test_wrong_usage(bare_command: Command, arguments: tuple[str, ...], text: str) -> None:
    done = bare_command("job", "why", *arguments)
    assert (done.status, done.out, len(done.err_lines)) == (2, "", 1)
    assert text in done.err
