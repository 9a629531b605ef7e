"""What `tracker job show` and `list` print so that people and programs read it right."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from tests.cli.conftest import Command
from tests.support.jobs import as_json
from tracker.store.connect import connect

LINE_ENDS = "a\u2028b\u2029c\x85d\x1ee\nf\x0cg"


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with closing(connect(database_url, autocommit=True)) as connection:
        yield connection


def test_json_is_one_line_for_every_reader_of_lines(command: Command) -> None:
    submitted = json.dumps(as_json("a", name=LINE_ENDS, labels={"k": LINE_ENDS})).encode()
    command("job", "submit", stdin=submitted)
    for arguments in (("job", "show", "a", "--json"), ("job", "list", "--json")):
        done = command(*arguments)
        assert done.out.count("\n") == len(done.out.splitlines()) == 1
        assert done.objects[0]["name"] == done.objects[0]["labels"]["k"] == LINE_ENDS


def test_a_long_list_of_prerequisites_is_cut_on_a_terminal_and_whole_in_json(command: Command) -> None:
    prerequisites = [f"p{number:04}" for number in range(1_000)]
    command("job", "submit", stdin=json.dumps(as_json("a", prerequisiteJobIds=prerequisites)).encode())
    waits = [line for line in command("job", "show", "a").lines if line.startswith("waits for")]
    assert len(waits) == 21
    assert (waits[0], waits[-1]) == ("waits for   default:p0000 (not stored)", "waits for   980 jobs more")
    [found] = command("job", "show", "a", "--json").objects
    assert found["prerequisiteJobIds"] == prerequisites
    assert found["prerequisiteCount"] == 1_000
    unknown = {"status": None, "percentageComplete": None}
    assert found["prerequisites"] == [{"id": each} | unknown for each in prerequisites[:20]]


def test_what_keeps_a_job_and_what_it_has_lost_is_shown(
    command: Command, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    new = [as_json("a", delay=3600), as_json("b", prerequisiteJobIds=["a"])]
    command("job", "submit", stdin="\n".join(map(json.dumps, new)).encode())
    [found] = command("job", "show", "a", "--json").objects
    more = ("attempt", "sentTime", "suspended", "heldMessages", "droppedMessages", "deadLetters")
    assert [found[name] for name in more] == [1, None, False, 0, 0, 0]
    assert found["delayUntil"] >= found["createTime"] + 3_600_000
    lines = command("job", "show", "a").lines
    assert [line.split()[0] for line in lines] == [
        "job",
        "status",
        "percentage",
        "attempt",
        "created",
        "updated",
        "delayed",
    ]
    assert lines[-1].startswith("delayed until  2")
    assert command("job", "show", "b").lines[-1] == "waits for   default:a (Waiting, 0.00 %)"
    command("partition", "suspend", "default")
    connection.execute(
        "UPDATE task_message SET sent_time = to_timestamp(1.5), eligible_time = NULL, unmet = 0"
    )
    connection.execute(
        "INSERT INTO held_message (tenant_key, job_key, destination, message_value)"
        " SELECT tenant_key, job_key, 'out', '' FROM job, generate_series(1, 1234)"
    )
    connection.execute(
        "INSERT INTO job_note (tenant_key, job_key, dropped, dead_letters)"
        " SELECT tenant_key, job_key, 2, 1 FROM job"
    )
    [found] = command("job", "show", "b", "--json").objects
    assert [found[name] for name in more] == [1, 1500, True, 1234, 2, 1]
    assert {
        "sent              1970-01-01 00:00:01Z",
        "partition ID      default is suspended",
        "held messages     1,234",
        "dropped messages  2",
        "dead letters      1",
    } < set(command("job", "show", "b").lines)


@pytest.mark.parametrize(("verb", "typed"), [("show", "-x"), ("cancel", "--abc"), ("wait", "-abc")])
def test_an_id_that_begins_with_a_dash_goes_after_two_dashes(command: Command, verb: str, typed: str) -> None:
    refused = command("job", verb, typed)
    assert refused.status == 2
    assert f"if {typed} is not an option, give it after --: tracker job {verb} -- {typed}." in refused.err
    assert "after --" not in command("job", "list", typed).err
    assert command("job", verb, "--", typed).err == f"No such job: default:{typed}.\n"


def test_a_percentage_that_is_a_guess_is_marked(
    command: Command, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    command("job", "submit", stdin=json.dumps(as_json("a")).encode())
    connection.execute("UPDATE job SET status = 1, percentage = 99000000")
    add = """
        INSERT INTO sibling_tasks (tenant_key, job_key, path, number, tasks)
        SELECT tenant_key, job_key, %s, 0, '' FROM job
    """
    assert "estimate" not in command("job", "show", "a", "--json").objects[0]
    connection.execute(add, [""])
    connection.execute(add, ["3"])
    assert "~" not in command("job", "show", "a").out
    connection.execute("UPDATE sibling_tasks SET unknown = 1 << 7 WHERE path = '3'")
    for arguments in (("show", "a"), ("list",)):
        assert command("job", *arguments, "--json").objects[0]["estimate"] is True
        assert "~99.00" in command("job", *arguments).out
    connection.execute("UPDATE job SET status = 5")
    assert "estimate" not in command("job", "show", "a", "--json").objects[0]
