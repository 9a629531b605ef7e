import os
import pickle

import pytest
from pydantic import ValidationError

from tests.support.environments import ENOUGH, loaded, problem, problems, problems_of
from tracker.errors import SettingsError, TrackerError
from tracker.settings import load
from tracker.settings.model import VARIABLES, Variable, as_text


@pytest.mark.parametrize(
    ("field", "default"),
    [
        ("topics", ("tracking",)),
        ("group_id", "tracker"),
        ("dead_letter_topic", "tracker-dead-letter"),
        ("destinations", ()),
        ("batch_size", 10_000),
        ("batch_bytes", 16_777_216),
        ("batch_wait_ms", 20),
        ("max_message_bytes", 1_000_000),
        ("max_failure_chars", 10_000),
        ("shutdown_timeout_s", 25),
        ("delivery", "exactly_once"),
        ("propagate_failures", False),
        ("service_url", ""),
        ("status_check_interval_seconds", 5),
        ("http_host", "127.0.0.1"),
        ("http_port", 8080),
        ("log_format", "auto"),
        ("log_level", "info"),
    ],
)
def test_default(field: str, default: object) -> None:
    assert getattr(loaded(), field) == default


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("TRACKER_TOPICS", "a", ("a",)),
        ("TRACKER_TOPICS", "a, B.c_d-1 ,e", ("a", "B.c_d-1", "e")),
        ("TRACKER_TOPICS", "x" * 249, ("x" * 249,)),
        ("TRACKER_GROUP_ID", "g", "g"),
        ("TRACKER_DEAD_LETTER_TOPIC", "dead", "dead"),
        ("TRACKER_DESTINATIONS", "worker-*, exact,*", ("worker-*", "exact", "*")),
        ("TRACKER_DESTINATIONS", "", ()),
        ("TRACKER_WORKERS", "7", 7),
        ("TRACKER_BATCH_SIZE", " 1 ", 1),
        ("TRACKER_BATCH_BYTES", "1024", 1024),
        ("TRACKER_BATCH_WAIT_MS", "0", 0),
        ("TRACKER_MAX_MESSAGE_BYTES", "100000000", 100_000_000),
        ("TRACKER_MAX_FAILURE_CHARS", "1", 1),
        ("TRACKER_INSTANCE", "host-1.example", "host-1.example"),
        ("TRACKER_SHUTDOWN_TIMEOUT_S", "3600", 3600),
        ("TRACKER_DELIVERY", "AT_LEAST_ONCE", "at_least_once"),
        ("TRACKER_PROPAGATE_FAILURES", "true", True),
        ("TRACKER_PROPAGATE_FAILURES", "Yes", True),
        ("TRACKER_PROPAGATE_FAILURES", "1", True),
        ("TRACKER_PROPAGATE_FAILURES", "FALSE", False),
        ("TRACKER_PROPAGATE_FAILURES", "no", False),
        ("TRACKER_PROPAGATE_FAILURES", "0", False),
        ("TRACKER_SERVICE_URL", "", ""),
        ("TRACKER_SERVICE_URL", "https://jobs.example:8443/v1/", "https://jobs.example:8443/v1"),
        ("TRACKER_STATUS_CHECK_INTERVAL_SECONDS", "60", 60),
        ("TRACKER_HTTP_HOST", "::", "::"),
        ("TRACKER_HTTP_PORT", "0", 0),
        ("TRACKER_HTTP_PORT", "", None),
        ("TRACKER_LOG_FORMAT", "json", "json"),
        ("TRACKER_LOG_LEVEL", "Warning", "warning"),
    ],
)
def test_value_is_read(variable: str, text: str, value: object) -> None:
    field = variable.removeprefix("TRACKER_").lower()
    assert getattr(loaded(**{variable: text}), field) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        *(("TRACKER_TOPICS", bad) for bad in ("", ",", "a,,b", "a b", "x" * 250, ".", "..", "__x", "ä")),
        *(("TRACKER_TOPICS", bad) for bad in ("a,a", "a,A", "a/b")),
        *(("TRACKER_DEAD_LETTER_TOPIC", bad) for bad in ("", "a,b", "__consumer_offsets")),
        *(("TRACKER_GROUP_ID", bad) for bad in ("", " ", "a b", "a/b", "x" * 101, ".")),
        *(("TRACKER_INSTANCE", bad) for bad in ("", "a:b")),
        *(("TRACKER_DESTINATIONS", bad) for bad in ("a b", "a,", "a?", "[ab]")),
        *(("TRACKER_WORKERS", bad) for bad in ("", "0", "-1", "1.0", "many", "1_0", "0x10", "٣", "9" * 5000)),
        *(("TRACKER_BATCH_SIZE", bad) for bad in ("0", "1000001", "1e4")),
        *(("TRACKER_BATCH_BYTES", bad) for bad in ("1023", "1073741825")),
        *(("TRACKER_BATCH_WAIT_MS", bad) for bad in ("-1", "60001", "20ms")),
        *(("TRACKER_MAX_MESSAGE_BYTES", bad) for bad in ("0", "100000001")),
        *(("TRACKER_MAX_FAILURE_CHARS", bad) for bad in ("0", "1000001")),
        *(("TRACKER_SHUTDOWN_TIMEOUT_S", bad) for bad in ("0", "3601", "25s")),
        *(("TRACKER_DELIVERY", bad) for bad in ("", "at_most_once", "exactly-once")),
        *(("TRACKER_PROPAGATE_FAILURES", bad) for bad in ("", "maybe", "2", "t", "on")),
        *(
            ("TRACKER_SERVICE_URL", bad)
            for bad in ("jobs.example", "ftp://x", "http://", "http://x:y", "http://a b")
        ),
        *(("TRACKER_SERVICE_URL", bad) for bad in ("http://x/?a=b", "http://x/#y", "http://[::1")),
        *(("TRACKER_STATUS_CHECK_INTERVAL_SECONDS", bad) for bad in ("0", "2147484", "5.5")),
        *(("TRACKER_HTTP_HOST", bad) for bad in ("", "a b", "http://x")),
        *(("TRACKER_HTTP_PORT", bad) for bad in ("-1", "65536", "none")),
        *(("TRACKER_LOG_FORMAT", bad) for bad in ("", "xml")),
        *(("TRACKER_LOG_LEVEL", bad) for bad in ("", "loud")),
    ],
)
def test_bad_value_is_one_problem_that_names_the_variable(variable: str, text: str) -> None:
    assert problem(**{variable: text}).startswith(f"{variable} is ")


def test_problem_names_value_and_what_is_allowed() -> None:
    assert problem(TRACKER_BATCH_SIZE="many") == (
        'TRACKER_BATCH_SIZE is "many": it must be a whole number of records from 1 to 1000000.'
    )


def test_problem_lists_the_words_that_are_allowed() -> None:
    assert problem(TRACKER_DELIVERY="maybe").endswith("it must be exactly_once or at_least_once.")


def test_problem_shows_control_characters_escaped_and_cuts_long_values() -> None:
    sentence = problem(TRACKER_LOG_LEVEL="\x1b[31m\n" + "x" * 10_000)
    assert sentence.isprintable()
    assert len(sentence) < 300


def test_all_problems_are_reported_at_once() -> None:
    found = problems_of(
        {
            "TRACKER_WORKERS": "many",
            "TRACKER_NONSENSE": "1",
            "TRACKER_KAFKA_ACKS": "0",
            "TRACKER_KAFKA_NONSENSE": "1",
            "TRACKER_DEAD_LETTER_TOPIC": "tracking",
            "JOB_SERVICE_DATABASE_PORT": "x",
        }
    )
    begin = [sentence.split(" ", 1)[0] for sentence in found]
    assert sorted(begin) == [
        "JOB_SERVICE_DATABASE_PORT",
        "TRACKER_DATABASE_URL",
        "TRACKER_DEAD_LETTER_TOPIC",
        "TRACKER_KAFKA_ACKS",
        "TRACKER_KAFKA_BOOTSTRAP_SERVERS",
        "TRACKER_KAFKA_NONSENSE",
        "TRACKER_NONSENSE",
        "TRACKER_WORKERS",
    ]


def test_error_is_a_tracker_error_whose_text_has_a_line_for_each_problem() -> None:
    error = SettingsError("One.", "Two.")
    assert isinstance(error, TrackerError)
    assert str(error) == "One.\nTwo."


def test_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(SettingsError("One.", "Two.")))
    assert error.problems == ("One.", "Two.")


def test_kafka_is_required() -> None:
    (sentence,) = problems_of({"TRACKER_DATABASE_URL": "postgresql://db/x"})
    assert sentence == (
        "TRACKER_KAFKA_BOOTSTRAP_SERVERS is not set: "
        "it must be host:port of one or more brokers, with commas between."
    )


def test_kafka_is_not_required_where_only_the_database_is_needed() -> None:
    assert load({"TRACKER_DATABASE_URL": "dbname=x"}, need={"database"}).database_conninfo() == "dbname=x"


def test_database_is_not_required_where_only_kafka_is_needed() -> None:
    settings = load({"TRACKER_KAFKA_BOOTSTRAP_SERVERS": "b"}, need={"kafka"})
    assert settings.consumer_properties() == {"bootstrap.servers": "b"}


def test_asking_for_a_database_that_is_not_named_is_an_error() -> None:
    settings = load({"TRACKER_KAFKA_BOOTSTRAP_SERVERS": "b"}, need={"kafka"})
    with pytest.raises(SettingsError, match="TRACKER_DATABASE_URL is not set"):
        settings.database_conninfo()


def test_what_is_not_needed_is_checked_all_the_same() -> None:
    (sentence,) = problems_of({"TRACKER_DATABASE_URL": "dbname=x", "TRACKER_KAFKA_ACKS": "0"}, "database")
    assert sentence.startswith("TRACKER_KAFKA_ACKS")


def test_a_required_variable_with_a_bad_value_is_not_called_missing_as_well() -> None:
    assert len(problems(TRACKER_KAFKA_BOOTSTRAP_SERVERS="a b", TRACKER_DATABASE_URL="nonsense")) == 2


@pytest.mark.parametrize("topic", ["tracking", "Tracking"])
def test_dead_letter_topic_is_not_a_tracking_topic(topic: str) -> None:
    assert "must not be a tracking topic" in problem(TRACKER_DEAD_LETTER_TOPIC=topic)


def test_dead_letter_topic_default_is_held_against_the_topics_that_are_set() -> None:
    assert "must not be a tracking topic" in problem(TRACKER_TOPICS="a,tracker-dead-letter")


def test_workers_default_to_the_cpus_that_the_process_may_use() -> None:
    assert loaded().workers == len(os.sched_getaffinity(0))


def test_workers_default_to_all_cpus_where_no_affinity_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 96)
    assert loaded().workers == 96


@pytest.mark.parametrize(("name", "instance"), [("host-1", "host-1"), ("a b/c", "a-b-c"), ("", "localhost")])
def test_instance_defaults_to_the_host_name_made_legal(
    name: str, instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: name)
    assert loaded().instance == instance


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        loaded().workers = 3


def test_settings_survive_pickling() -> None:
    settings = loaded(TRACKER_KAFKA_SASL_PASSWORD="hush", TRACKER_WORKERS="3")
    copy = pickle.loads(pickle.dumps(settings))
    assert copy == settings
    assert copy.consumer_properties()["sasl.password"] == "hush"


def test_environment_of_the_process_is_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENOUGH, "TRACKER_WORKERS": "5"}.items():
        monkeypatch.setenv(name, value)
    assert load().workers == 5


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_default_is_allowed_where_a_user_sets_it(variable: Variable) -> None:
    default = getattr(loaded(), variable.field)
    assert getattr(loaded(**{variable.name: as_text(default)}), variable.field) == default
