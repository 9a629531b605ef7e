"""Secrets come from files, and are shown nowhere."""

from pathlib import Path

import pytest

from tests.support.environments import loaded, problem
from tracker.errors import SettingsError
from tracker.settings import describe, load
from tracker.settings.kafka import SECRETS, properties

KAFKA_SECRETS = [f"TRACKER_KAFKA_{properties()[name].variable}" for name in sorted(SECRETS)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("hush\n")
    return path


@pytest.mark.parametrize("variable", KAFKA_SECRETS)
@pytest.mark.parametrize("side", ["", "CONSUMER_", "PRODUCER_"])
def test_every_secret_of_kafka_can_be_read_from_a_file(variable: str, side: str, file: Path) -> None:
    variable = variable.replace("TRACKER_KAFKA_", f"TRACKER_KAFKA_{side}")
    settings = loaded(**{f"{variable}_FILE": str(file)})
    given = settings.consumer_properties() | settings.producer_properties()
    assert "hush" in given.values()


def test_database_url_can_be_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("postgresql://u:hush@db/x\n")
    settings = load({"TRACKER_DATABASE_URL_FILE": str(path)}, need={"database"})
    assert settings.database_conninfo() == "postgresql://u:hush@db/x"


def test_database_password_of_the_job_service_can_be_read_from_a_file(file: Path) -> None:
    settings = loaded(JOB_SERVICE_DATABASE_PASSWORD_FILE=str(file))
    assert "password=hush" in settings.database_conninfo()


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"a", "a"), (b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b" a ", " a "), ("ä".encode(), "ä")],
)
def test_one_newline_at_the_end_is_not_part_of_the_secret(
    content: bytes, secret: str, tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    settings = loaded(TRACKER_KAFKA_SASL_PASSWORD_FILE=str(path))
    assert settings.producer_properties()["sasl.password"] == secret


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"a\0b", b"x" * 70_000])
def test_file_without_a_sound_secret_is_a_problem(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert str(path) in problem(TRACKER_KAFKA_SASL_PASSWORD_FILE=str(path))


@pytest.mark.parametrize(
    ("name", "reason"), [("absent", "No such file or directory"), (".", "Is a directory")]
)
def test_file_that_cannot_be_read_is_a_problem_with_the_reason(
    name: str, reason: str, tmp_path: Path
) -> None:
    assert reason in problem(TRACKER_KAFKA_SASL_PASSWORD_FILE=str(tmp_path / name))


def test_file_without_a_path_is_a_problem() -> None:
    sentence = problem(TRACKER_DATABASE_URL_FILE="", TRACKER_DATABASE_URL="")
    assert sentence.startswith('TRACKER_DATABASE_URL_FILE is "": it must name a readable file')


@pytest.mark.parametrize("variable", KAFKA_SECRETS)
def test_empty_secret_beside_its_file_counts_as_not_set(variable: str, file: Path) -> None:
    settings = loaded(**{variable: "", f"{variable}_FILE": str(file)})
    assert [item.origin for item in settings.kafka[1:]] == [f"{variable}_FILE={file}"]


def test_file_that_never_ends_is_a_problem() -> None:
    assert "must hold a secret" in problem(TRACKER_KAFKA_SASL_PASSWORD_FILE="/dev/zero")


def test_secret_and_its_file_both_set_are_a_problem_naming_both(file: Path) -> None:
    assert problem(TRACKER_KAFKA_SASL_PASSWORD="other", TRACKER_KAFKA_SASL_PASSWORD_FILE=str(file)) == (
        f'TRACKER_KAFKA_SASL_PASSWORD is *** and TRACKER_KAFKA_SASL_PASSWORD_FILE is "{file}": only one of '
        "them can be set."
    )


def test_database_url_and_its_file_both_set_are_one_problem(file: Path) -> None:
    assert "only one of them can be set" in problem(TRACKER_DATABASE_URL_FILE=str(file))


def test_what_is_no_secret_is_not_read_from_a_file(file: Path) -> None:
    assert "only secrets can be read" in problem(TRACKER_KAFKA_CLIENT_ID_FILE=str(file))


def test_secret_is_kept_with_its_blanks() -> None:
    assert loaded(TRACKER_KAFKA_SASL_PASSWORD=" a ").producer_properties()["sasl.password"] == " a "


EVERYTHING = {
    "TRACKER_DATABASE_URL": "postgresql://user:hush@db/x?sslpassword=hush",
    "JOB_SERVICE_DATABASE_PASSWORD": "hush",
    "PGPASSWORD": "hush",
    **dict.fromkeys(KAFKA_SECRETS, "hush"),
}


@pytest.mark.parametrize("show", [repr, str, lambda settings: settings.model_dump_json(), describe])
def test_no_secret_is_in_what_settings_look_like(show: object) -> None:
    assert callable(show)
    settings = loaded(**EVERYTHING)
    assert "hush" not in str(show(settings))
    assert "hush" not in str(settings.warnings)


@pytest.mark.parametrize("variable", KAFKA_SECRETS)
def test_no_secret_is_in_an_error(variable: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(
            **{**EVERYTHING, variable: "hush", f"{variable}_FILE": "x", variable.replace("_", "", 1): "hush"}
        )
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "variable",
    ["TRACKER_KAFKA_SASL_PASWORD", "TRACKER_DATABASE_URI", "TRACKER_API_TOKEN", "TRACKER_KAFKA_SSL_KEY_PAM"],
)
def test_secret_under_a_misspelt_name_is_masked(variable: str) -> None:
    assert "hush" not in problem(**{variable: "hush"})


@pytest.mark.parametrize(
    "text", ["postgresql://u:hush@db/x", "host=db password=hush", "password = 'hu hush'"]
)
def test_connection_string_under_any_name_is_masked(text: str) -> None:
    assert "hush" not in problem(TRACKER_DB=text)


def test_user_name_and_password_in_the_service_url_are_refused_and_masked() -> None:
    sentence = problem(TRACKER_SERVICE_URL="https://u:hush@jobs.example")
    assert "without user name" in sentence
    assert "hush" not in sentence
