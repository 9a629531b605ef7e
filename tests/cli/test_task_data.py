"""`tracker job submit` sends task data as it stands in its input."""

import json
from contextlib import closing

import pytest

from tests.cli.conftest import Command
from tests.support.jobs import JSON_TEXTS, as_json
from tracker.store.connect import connect


def document(task_data: str) -> str:
    task = as_json("a")["task"] | {"taskData": "HERE"}
    return json.dumps(as_json("a", task=task)).replace('"HERE"', task_data)


@pytest.mark.parametrize("text", JSON_TEXTS)
@pytest.mark.parametrize("layout", ["{}\n", "[{}]", " \n{}\n "])
def test_json_text_is_sent_byte_for_byte(command: Command, database_url: str, text: str, layout: str) -> None:
    done = command("job", "submit", stdin=layout.replace("{}", document(text)).encode())
    assert (done.status, done.err) == (0, "")
    with closing(connect(database_url)) as connection:
        ((sent,),) = connection.execute("SELECT task_data FROM task_message").fetchall()
    assert sent == text.encode()


def test_half_a_character_in_json_text_is_called_so(command: Command) -> None:
    done = command("job", "submit", stdin=document('{"a": "\\ud800"}').encode())
    assert (done.status, done.err) == (1, "Line 1: a string has a lone surrogate, which is no character.\n")
