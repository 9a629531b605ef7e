"""`tracker job` and `tracker partition`: what they print, and their exit statuses."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.cli.conftest import Command
from tracker.store.connect import connect

TASK = {
    "taskClassifier": "DocumentWorker",
    "taskApiVersion": 1,
    "taskData": {"any": "object"},
    "taskPipe": "in",
}


def line(job_id: str, **fields: object) -> bytes:
    return json.dumps({"id": job_id, "task": TASK} | fields).encode() + b"\n"


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with closing(connect(database_url, autocommit=True)) as connection:
        yield connection


def test_jobs_come_one_a_line_from_stdin(command: Command) -> None:
    done = command("job", "submit", stdin=line("a") + b"\n  \r\n" + line("b", partitionId="acme"))
    assert (done.status, done.out, done.err) == (0, "Stored 2 jobs.\n", "")
    again = command("job", "submit", "-", "--json", stdin=line("a") + line("c"))
    assert again.objects == [
        {"partitionId": "default", "id": "a", "created": False},
        {"partitionId": "default", "id": "c", "created": True},
    ]


def test_a_job_that_may_never_run_is_named(command: Command) -> None:
    text = line("a", partitionId="acme", prerequisiteJobIds=["tpyo"]) + line("b", partitionId="acme")
    done = command("job", "submit", stdin=text)
    assert (done.status, done.out) == (0, "Stored 2 jobs.\n")
    assert done.err == "Warning: acme:a waits for acme:tpyo, which does not exist.\n"
    command("job", "cancel", "acme:b")
    again = command("job", "submit", "--json", stdin=text)
    assert again.err == ""
    assert [each.get("warnings") for each in again.objects] == [
        ["waits for acme:tpyo, which does not exist"],
        ["was cancelled, and will not run"],
    ]
    waiting = command("job", "submit", "--wait", "--timeout", "0", "--json", stdin=text)
    assert waiting.err.startswith(
        "Warning: acme:a waits for acme:tpyo, which does not exist.\n"
        "Warning: acme:b was cancelled, and will not run.\n"
    )
    assert waiting.status == 3


def test_of_many_jobs_that_may_never_run_the_first_ten_are_named(command: Command) -> None:
    text = b"".join(line(f"j{number}", prerequisiteJobIds=["tpyo"]) for number in range(1, 13))
    done = command("job", "submit", stdin=text)
    assert done.err.count("Warning: default:j") == 10
    assert done.err.endswith("Warning: and 2 more; --json shows all.\n")


def test_jobs_stored_already_are_counted_apart_from_new_ones(command: Command) -> None:
    command("job", "submit", stdin=line("a"))
    assert command("job", "submit", stdin=line("a") + line("b")).out == "Stored 1 job; 1 stored already.\n"


@pytest.mark.parametrize(
    "text",
    [
        line("a"),
        line("a").rstrip(),
        b"\xef\xbb\xbf" + line("a"),
        json.dumps({"id": "a", "task": TASK}, indent=2).encode(),
        json.dumps([{"id": "a", "task": TASK}], indent=2).encode(),
        b"[" + line("a").rstrip() + b"]",
    ],
    ids=["a line", "a line without end", "a byte order mark", "an object", "an array", "an array in a line"],
)
def test_jobs_come_from_a_file_of_any_layout(command: Command, tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "jobs.json"
    file.write_bytes(text)
    assert command("job", "submit", str(file)).out == "Stored 1 job.\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "There is no job in the input"),
        (b" \n\n", "There is no job in the input"),
        (b"hello", "Line 1: JSON is malformed"),
        (b"5", "Line 1: the job is a number, not an object"),
        (b"\xff\xfe{\x00}\x00", "Line 1: JSON is malformed"),
        (b'{"id": "\xff"}', "Line 1: not UTF-8"),
        (line("a") + b"{", "Line 2: Input data was truncated"),
        (line("a") + line("b", delay=float("nan")), "Line 2: JSON is malformed"),
        (line("a") + b"\n" + line("b", zork=1), "Line 3: unknown field zork"),
        (
            line("a") + b'{"id": "b", "delay": ' + b"9" * 5_000 + b"}",
            "Line 2: Integer value out of range",
        ),
        (line("a", delay=10**30), "Line 1 (default:a): delay is not a whole number"),
        (line("a") + line("b", name="\0"), "Line 2 (default:b): name has a NUL"),
        (line("a") + line("b.c"), "Line 2 (default:b.c): the job ID has '.' at character 2"),
        (b'{"id": ' * 100_000, "Line 1: "),
        (line("a") + b'{"id": "b", "task": {"taskData": ' + b'{"x":' * 100_000 + b"\n", "nested too deeply"),
        (b'{"id": "\\ud800", "task": {}}', "Line 1: "),
        (b'{"id": "a",\n "task":\n x}', "Line 3: JSON is malformed"),
        (b'[{"id": "a"}]', "missing required field task"),
    ],
)
def test_what_is_no_job_is_refused_with_its_line_and_nothing_is_stored(
    command: Command, text: bytes, reason: str
) -> None:
    done = command("job", "submit", stdin=text)
    assert (done.status, done.out) == (1, "")
    assert reason in done.err
    assert done.err.count("\n") == 1
    assert command("job", "count").objects == [{"count": 0}]


def test_the_first_ten_bad_lines_are_named(command: Command) -> None:
    done = command("job", "submit", stdin=line("a") + b"{\n" * 12)
    assert "Line 2: " in done.err
    assert "line 11: " in done.err
    assert done.err.endswith("and 2 more.\n")


def test_a_file_that_is_not_there_is_a_sentence(command: Command) -> None:
    done = command("job", "submit", "/nonexistent/jobs")
    assert (done.status, done.err) == (1, "/nonexistent/jobs cannot be read: No such file or directory.\n")


def test_conflicts_and_cycles_are_refused(command: Command) -> None:
    command("job", "submit", stdin=line("a"))
    conflict = command("job", "submit", stdin=line("a", name="other"))
    assert (conflict.status, conflict.err) == (1, "Stored already, with other content: default:a.\n")
    cycle = command("job", "submit", stdin=line("x", prerequisiteJobIds=["x"]))
    assert cycle.status == 1
    assert "x -> x" in cycle.err


def test_a_submit_may_wait(command: Command, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    text = line("a") + line("b")
    command("job", "submit", stdin=text)
    late = command("job", "submit", "--wait", "--timeout", "0.1", stdin=text)
    assert (late.status, late.out) == (3, "")
    assert late.err == "Not ended after 0.1 s: default:a, default:b.\n"
    connection.execute("UPDATE job SET status = 5, percentage = 100000000")
    done = command("job", "submit", "--wait", "--json", stdin=text)
    assert done.status == 0
    assert [(job["id"], job["status"]) for job in done.objects] == [("a", "Completed"), ("b", "Completed")]
    assert command("job", "submit", "--timeout", "5", stdin=text).status == 2


def test_a_wait_is_good_only_if_all_have_completed(
    command: Command, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    command("job", "submit", stdin=line("a") + line("b"))
    connection.execute("UPDATE job SET status = 5")
    assert command("job", "wait", "a", "b").status == 0
    connection.execute("UPDATE job SET status = 3 WHERE job_id = 'b'")
    done = command("job", "wait", "a", "b", "--timeout", "5")
    assert done.status == 1
    assert done.lines[1:] == ["default:a  Completed  0.00", "default:b  Failed     0.00"]
    assert command("job", "wait", "a", "nope").status == 1


def test_a_job_is_shown(command: Command, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    command("job", "submit", stdin=line("a", name="A\x1b[31m", labels={"k": "v"}, prerequisiteJobIds=["b"]))
    connection.execute("UPDATE job SET percentage = 12345678")
    shown = command("job", "show", "a", "--json").objects[0]
    assert (shown["id"], shown["percentageComplete"], shown["prerequisiteJobIds"]) == ("a", 12.35, ["b"])
    plain = command("job", "show", "default:a").lines
    assert "job         default:a" in plain
    assert "percentage  12.35" in plain
    assert "label       k=v" in plain
    assert "waits for   default:b (not stored)" in plain
    assert r'name        "A\u001b[31m"' in plain


def test_jobs_are_listed_and_counted(command: Command) -> None:
    for number, job_id in enumerate(("a1", "a2", "b1")):
        labels = {"owner": "bob"} if number else {}
        command("job", "submit", stdin=line(job_id, partitionId="acme", labels=labels, name=f"N{number}"))
    command("job", "pause", "acme:a2")
    lines = command("job", "list").lines
    assert lines[0].split() == ["JOB", "STATUS", "%", "NAME", "CREATED"]
    assert [text.split()[:4] for text in lines[1:]] == [
        ["acme:b1", "Waiting", "0.00", "N2"],
        ["acme:a2", "Paused", "0.00", "N1"],
        ["acme:a1", "Waiting", "0.00", "N0"],
    ]

    def listed(*options: str) -> list[str]:
        return [job["id"] for job in command("job", "list", "--json", *options).objects]

    assert listed("--sort", "id", "--limit", "2") == ["a1", "a2"]
    assert listed("--status", "paused", "--status", "Failed") == ["a2"]
    assert listed("--prefix", "a", "--label", "owner=bob") == ["a2"]
    assert listed("--partition", "other") == []
    assert command("job", "count", "--prefix", "a").out == '{"count":2}\n'
    assert command("job", "count", "--label", "owner", "--json").objects == [{"count": 2}]


def test_an_empty_list_prints_nothing(command: Command) -> None:
    assert command("job", "list") == (0, "", "")


def test_jobs_are_changed(command: Command) -> None:
    command("job", "submit", stdin=line("a") + line("b"))
    assert command("job", "pause", "a", "b").lines == ["default:a: paused", "default:b: paused"]
    assert command("job", "resume", "a").lines == ["default:a: resumed"]
    assert command("job", "resume", "a").lines == ["default:a: was not paused"]
    assert command("job", "cancel", "a").lines == ["default:a: cancelled"]
    assert command("job", "cancel", "a") == (0, "default:a: was cancelled already\n", "")
    refused = command("job", "pause", "a")
    assert (refused.status, refused.err) == (1, "Cannot be paused: default:a is Cancelled.\n")
    missing = command("job", "cancel", "a", "nope")
    assert (missing.status, missing.err) == (1, "No such job: default:nope.\n")
    deleted = command("job", "delete", "a", "--json").objects
    assert deleted == [{"partitionId": "default", "id": "a", "changed": True, "droppedMessages": 0}]
    assert command("job", "show", "a").status == 1


def test_dropped_messages_are_counted(
    command: Command, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    command("job", "submit", stdin=line("a"))
    connection.execute(
        """
        INSERT INTO held_message (tenant_key, job_key, destination, message_value)
        SELECT tenant_key, job_key, 'in', '' FROM job, generate_series(1, 2)
        """
    )
    assert command("job", "cancel", "a").lines == ["default:a: cancelled, 2 held messages dropped"]


def test_failures_are_listed(command: Command, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    command("job", "submit", stdin=line("a"))
    connection.execute(
        """
        INSERT INTO task_failure
        SELECT tenant_key, job_key, '3', 'id', 1700000000123, 'source', E'a\\nb' FROM job
        """
    )
    assert command("job", "failures", "a", "--json").objects == [
        {
            "jobTaskId": "default:a.3",
            "failureId": "id",
            "failureTime": 1_700_000_000_123,
            "failureSource": "source",
            "failureMessage": "a\nb",
        }
    ]
    assert command("job", "failures", "a").lines[1].split(maxsplit=5) == [
        "default:a.3", "id", "2023-11-14", "22:13:20Z", "source", '"a\\nb"',
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ("job", "show"),
        ("job", "show", "a.b"),
        ("job", "cancel", "a", "p:q:r"),
        ("job", "list", "--status", "done"),
        ("job", "list", "--sort", "name"),
        ("job", "list", "--limit", "-1"),
        ("job", "list", "--partition", "a:b"),
        ("job", "wait", "a", "--timeout", "-1"),
        ("job", "nonsense"),
        ("partition", "suspend", ""),
    ],
)
def test_wrong_usage(command: Command, arguments: tuple[str, ...]) -> None:
    done = command(*arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err


def test_partition_ids_are_suspended(command: Command) -> None:
    assert command("partition", "list") == (0, "", "")
    suspended = command("partition", "suspend", "acme", "b")
    assert suspended.lines == ["acme: suspended", "b: suspended"]
    assert suspended.err == "There is no partition ID acme yet.\nThere is no partition ID b yet.\n"
    assert command("partition", "suspend", "acme", "--json").err == ""
    assert command("partition", "resume", "nope", "--json").err == "There is no partition ID nope yet.\n"
    assert command("partition", "resume", "b", "--json").objects == [{"partitionId": "b", "suspended": False}]
    assert command("partition", "list", "--json").objects == [
        {"partitionId": "acme", "suspended": True},
        {"partitionId": "b", "suspended": False},
    ]
    assert command("partition", "list").lines == ["PARTITION ID  STATE", "acme          suspended", "b"]


def test_without_a_database_nothing_works(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_DATABASE_URL", "postgresql://u:hush@127.0.0.1:1/x")
    done = command("job", "list")
    assert done.status == 1
    assert "Connection refused" in done.err
    assert "hush" not in done.err
    monkeypatch.delenv("TRACKER_DATABASE_URL")
    assert command("job", "list").status == 2


def test_without_a_schema_the_way_to_it_is_named(
    command: Command, monkeypatch: pytest.MonkeyPatch, empty_database_url: str
) -> None:
    monkeypatch.setenv("TRACKER_DATABASE_URL", empty_database_url)
    done = command("job", "list")
    assert (done.status, done.err.count("tracker migrate")) == (1, 1)
    assert command("migrate", "--status").lines[1].split() == ["1", "schema", "missing"]
    assert command("migrate", "--json").objects[0] == {"migration": "0001_schema"}
    assert command("migrate").out == "The schema is up to date.\n"
    assert command("migrate", "--status", "--json").objects[0]["appliedTime"] > 1_700_000_000_000
    assert command("job", "list").status == 0


def test_ctrl_c_ends_a_wait_without_a_traceback(command: Command) -> None:
    command("job", "submit", stdin=line("a"))
    # The child's own word tells when it is waiting: it has asked for the job's status.
    program = (
        "import sys, tracker.cli, tracker.jobs.query as look; ask = look._not_ended\n"
        "def tell(names):\n"
        "    print('waiting', flush=True)\n"
        "    return ask(names)\n"
        "look._not_ended = tell\n"
        "sys.argv[1:] = ['job', 'wait', 'a']; sys.exit(tracker.cli.main())"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "waiting\n"
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (130, "")


def test_a_reader_that_has_seen_enough_is_no_error(command: Command) -> None:
    command("job", "submit", stdin=b"".join(line(f"j{number}") for number in range(5_000)))
    done = subprocess.run(
        f"{sys.executable} -m tracker job list --limit 0 --json | head -n 1",
        shell=True, capture_output=True, text=True, check=True, env=os.environ, timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout)["status"] == "Waiting"
    assert done.stderr == ""


@pytest.mark.parametrize("group", [(), ("job",), ("partition",), ("dead-letters",), ("stack",)])
def test_no_command_is_cut_short_in_the_list(bare_command: Command, group: tuple[str, ...]) -> None:
    _, found, listed = bare_command(*group, "--help").out.partition("Commands:")
    assert found
    assert "..." not in listed


def imported_by(*arguments: str) -> set[str]:
    """Return the names of the modules that a command has imported at its end, in a process of its own."""
    program = (
        "import sys; before = set(sys.modules); from tracker.cli import main; status = main();"
        "print(*sys.modules.keys() - before, file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stderr.split())


def test_help_loads_no_driver() -> None:
    """It must come at once: PostgreSQL's and Kafka's drivers and rich take half a second."""
    imported = imported_by("job", "list", "--help")
    assert "typer" in imported
    assert not imported & {"psycopg", "confluent_kafka", "tracker.settings", "rich", "msgspec", "asyncio"}


def test_a_command_that_asks_the_database_loads_nothing_that_only_others_need(command: Command) -> None:
    command("job", "submit", stdin=line("a"))
    imported = imported_by("job", "show", "a")
    assert "psycopg" in imported
    others = {"confluent_kafka", "rich", "structlog", "orjson", "prometheus_client", "multiprocessing"}
    assert not imported & {*others, "tracker.kafka", "tracker.fold", "tracker.messages", "tracker.supervisor"}


def test_a_child_of_run_does_not_load_the_commands() -> None:
    """It imports the main module of its supervisor once more, and that imports this."""
    program = "import sys, tracker.cli; sys.exit('typer' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_at_its_end_a_command_does_not_search_what_it_has_imported_for_garbage() -> None:
    program = (
        "import atexit, gc, sys; atexit.register(lambda: print(gc.get_freeze_count()));"
        "from tracker.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout.splitlines()[-1]) > 10_000
