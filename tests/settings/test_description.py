from pathlib import Path

import pytest

from tests.support.environments import loaded
from tracker.settings import Row, describe
from tracker.settings.model import VARIABLES, Variable
from tracker.settings.reference import render_reference

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def row(name: str, **variables: str) -> Row:
    (found,) = [row for row in describe(loaded(**variables)) if row.name == name]
    return found


def test_every_setting_is_described_once() -> None:
    names = [row.name for row in describe(loaded())]
    assert set(names) == {variable.name for variable in VARIABLES} | {
        "TRACKER_KAFKA_BOOTSTRAP_SERVERS",
        "TRACKER_DATABASE_URL",
    }
    assert len(set(names)) == len(names)


def test_setting_that_is_not_set_comes_from_its_default() -> None:
    found = row("TRACKER_WORKERS")
    assert found.origin == "default"
    assert found.default == "the number of CPUs that the process may use"


def test_setting_that_is_set_comes_from_its_variable() -> None:
    assert row("TRACKER_WORKERS", TRACKER_WORKERS="2")[:3] == ("TRACKER_WORKERS", "2", "TRACKER_WORKERS")


def test_setting_that_an_alias_sets_comes_from_the_alias() -> None:
    assert row("TRACKER_BATCH_SIZE", CAF_WORKER_MAX_BATCH_SIZE="2").origin == "CAF_WORKER_MAX_BATCH_SIZE"


def test_setting_that_its_name_and_its_alias_set_comes_from_its_name() -> None:
    both = {"TRACKER_BATCH_SIZE": "2", "CAF_WORKER_MAX_BATCH_SIZE": "2"}
    assert row("TRACKER_BATCH_SIZE", **both).origin == "TRACKER_BATCH_SIZE"


def test_secret_from_a_file_comes_from_that_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("hush")
    found = row("TRACKER_KAFKA_SASL_PASSWORD", TRACKER_KAFKA_SASL_PASSWORD_FILE=str(path))
    assert found.value_masked == "***"
    assert found.origin == f"TRACKER_KAFKA_SASL_PASSWORD_FILE={path}"


def test_kafka_property_is_described_with_its_side() -> None:
    found = row("TRACKER_KAFKA_CONSUMER_CLIENT_ID", TRACKER_KAFKA_CONSUMER_CLIENT_ID="c")
    assert found.value_masked == "c"
    assert found.meaning == "The Kafka property client.id, consumers only."


def test_connection_is_described_as_a_keyword_string_with_its_password_masked() -> None:
    found = row("TRACKER_DATABASE_URL", TRACKER_DATABASE_URL="postgresql://u:hush@db:1/x")
    assert set(found.value_masked.split()) == {"user=u", "password=***", "host=db", "port=1", "dbname=x"}


def test_connection_comes_from_all_variables_that_make_it() -> None:
    found = row(
        "TRACKER_DATABASE_URL", JOB_SERVICE_DATABASE_USERNAME="u", JOB_SERVICE_DATABASE_NAME="tracker"
    )
    assert found.origin == "TRACKER_DATABASE_URL, JOB_SERVICE_DATABASE_NAME, JOB_SERVICE_DATABASE_USERNAME"


def test_libpq_variables_that_are_set_are_described() -> None:
    assert row("PGSSLMODE", PGSSLMODE="require").value_masked == "require"
    assert row("PGPASSWORD", PGPASSWORD="hush").value_masked == "***"


@pytest.mark.parametrize(
    ("name", "variables", "value"),
    [
        ("TRACKER_TOPICS", {"TRACKER_TOPICS": "a, b"}, "a,b"),
        ("TRACKER_HTTP_PORT", {"TRACKER_HTTP_PORT": ""}, ""),
        ("TRACKER_PROPAGATE_FAILURES", {"TRACKER_PROPAGATE_FAILURES": "yes"}, "true"),
    ],
)
def test_value_is_shown_as_one_would_set_it(name: str, variables: dict[str, str], value: str) -> None:
    assert row(name, **variables).value_masked == value


def test_page_of_the_documentation_is_up_to_date() -> None:
    command = "python -m tracker.settings.reference > docs/configuration.md"
    assert PAGE.read_text("utf-8") == render_reference(), f"run `{command}`"


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_page_has_every_setting_with_its_alias(variable: Variable) -> None:
    page = render_reference()
    assert all(f"`{name}`" in page for name in variable.names)
