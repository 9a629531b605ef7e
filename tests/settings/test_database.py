import psycopg
import pytest

from tests.support.environments import loaded, problem, problems, problems_of
from tracker.settings import load

KAFKA = {"TRACKER_KAFKA_BOOTSTRAP_SERVERS": "broker:9092"}


def conninfo(**variables: str) -> str:
    return load({**KAFKA, **variables}).database_conninfo()


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:secret@db.example:5433/tracker?sslmode=verify-full",
        "postgres:///tracker",
        "postgresql://a:1,b:2/tracker?target_session_attrs=read-write",
        "postgresql://%2Frun%2Fpostgresql/tracker",
        "host=db dbname=tracker password='it\\'s'",
        "host=/run/postgresql dbname=tracker",
        "service=tracker",
    ],
)
def test_connection_string_is_handed_on_as_it_is(text: str) -> None:
    assert conninfo(TRACKER_DATABASE_URL=text) == text


@pytest.mark.parametrize("variable", ["PGDATABASE", "PGSERVICE"])
def test_libpq_variable_that_names_a_database_is_enough(variable: str) -> None:
    assert conninfo(**{variable: "x"}) == ""


@pytest.mark.parametrize("variable", ["PGHOST", "PGUSER", "PGPASSWORD"])
def test_libpq_variable_that_names_no_database_is_not_enough(variable: str) -> None:
    (sentence,) = problems_of({**KAFKA, variable: "x"})
    assert sentence.startswith("TRACKER_DATABASE_URL is not set, and no PG* variable names a database")


def test_empty_connection_string_counts_as_not_set() -> None:
    assert "is not set" in problem(TRACKER_DATABASE_URL="")


@pytest.mark.parametrize(
    "text",
    [
        "tracker",
        "mysql://db/x",
        "host=db secret",
        "password='hush",
        "postgresql://u:hu%zzsh@db/x",
        "postgresql://u:hush@sh@db/x",
        "postgresql://u:hu/sh@db/x",
        "postgresql://u:12/hush@db/x",
        "postgresql://db:99999/x",
        "postgresql://db:port/x",
        "host=db port=0 dbname=x",
        "password=hush hush=x",
    ],
)
def test_connection_string_that_cannot_be_taken_apart_is_a_problem_and_shows_nothing(text: str) -> None:
    sentence = problem(TRACKER_DATABASE_URL=text)
    assert sentence.startswith("TRACKER_DATABASE_URL is ***: ")
    assert "hush" not in sentence
    assert "secret" not in sentence


def test_misspelt_parameter_is_named_with_the_nearest() -> None:
    sentence = problem(TRACKER_DATABASE_URL="postgresql://db/x?sslmod=require")
    assert sentence.endswith("it has no parameter sslmod, did you mean sslmode?")


def test_password_with_an_at_sign_is_refused_with_how_to_write_it() -> None:
    assert "@ is written %40" in problem(TRACKER_DATABASE_URL="postgresql://u:hush@sh@db/x")


def test_password_with_an_escaped_at_sign_is_taken() -> None:
    assert conninfo(TRACKER_DATABASE_URL="postgresql://u:p%40ss@db/x") == "postgresql://u:p%40ss@db/x"


PARTS = {
    "JOB_SERVICE_DATABASE_HOST": "db.example",
    "JOB_SERVICE_DATABASE_PORT": "5433",
    "JOB_SERVICE_DATABASE_NAME": "jobservice",
    "JOB_SERVICE_DATABASE_USERNAME": "us er",
    "JOB_SERVICE_DATABASE_PASSWORD": "it's \\ = hush",
    "JOB_SERVICE_DATABASE_APPNAME": "Job Tracking Worker",
}


def test_parts_make_a_connection_string() -> None:
    assert psycopg.conninfo.conninfo_to_dict(conninfo(**PARTS)) == {
        "host": "db.example",
        "port": "5433",
        "dbname": "jobservice",
        "user": "us er",
        "password": "it's \\ = hush",
        "application_name": "Job Tracking Worker",
    }


def test_parts_fill_what_the_connection_string_leaves_out() -> None:
    text = conninfo(TRACKER_DATABASE_URL="postgresql://db/x", JOB_SERVICE_DATABASE_PASSWORD="hush")
    assert psycopg.conninfo.conninfo_to_dict(text) == {"host": "db", "dbname": "x", "password": "hush"}


def test_parts_may_repeat_the_connection_string() -> None:
    url = "postgresql://db/x"
    assert conninfo(TRACKER_DATABASE_URL=url, JOB_SERVICE_DATABASE_NAME="x") == url


def test_part_that_differs_from_the_connection_string_is_a_problem_naming_both() -> None:
    assert problem(TRACKER_DATABASE_URL="postgresql://db/x", JOB_SERVICE_DATABASE_NAME="y") == (
        'TRACKER_DATABASE_URL has dbname "x" and JOB_SERVICE_DATABASE_NAME is "y": make them equal, or '
        "leave one out."
    )


def test_passwords_that_differ_are_a_problem_and_not_shown() -> None:
    sentence = problem(
        TRACKER_DATABASE_URL="postgresql://u:hush@db/x", JOB_SERVICE_DATABASE_PASSWORD="hush-too"
    )
    assert "hush" not in sentence
    assert "JOB_SERVICE_DATABASE_PASSWORD" in sentence


@pytest.mark.parametrize("variable", list(PARTS))
def test_empty_part_counts_as_not_set(variable: str) -> None:
    assert loaded(**{variable: ""}).database == loaded().database


@pytest.mark.parametrize("port", ["x", "0", "65536"])
def test_part_with_a_bad_port_is_a_problem(port: str) -> None:
    assert problem(JOB_SERVICE_DATABASE_PORT=port).startswith(f'JOB_SERVICE_DATABASE_PORT is "{port}"')


def test_parts_without_a_name_do_not_name_a_database() -> None:
    (sentence,) = problems_of({**KAFKA, "JOB_SERVICE_DATABASE_APPNAME": "x"})
    assert "is not set" in sentence


def test_several_parts_that_differ_are_several_problems() -> None:
    found = problems(
        TRACKER_DATABASE_URL="postgresql://db:1/x",
        JOB_SERVICE_DATABASE_NAME="y",
        JOB_SERVICE_DATABASE_PORT="2",
    )
    assert len(found) == 2


def test_a_url_that_is_not_utf_8_is_refused_and_not_shown() -> None:
    sentence = problem(TRACKER_DATABASE_URL="postgresql://user:secret\udcff@host/x")
    assert sentence.startswith("TRACKER_DATABASE_URL is ***: it must be")
