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
    assert (waits[0], waits[-1]) == ("waits for   default:p0000", "waits for   980 jobs more")
    assert command("job", "show", "a", "--json").objects[0]["prerequisiteJobIds"] == prerequisites


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
