"""Aliases, unknown names, and names that others set."""

import pytest

from tests.support.environments import loaded, problem, problems

ALIASES = [
    ("CAF_WORKER_INPUT_QUEUE", "TRACKER_TOPICS", "jobtracking-in", ("jobtracking-in",)),
    ("CAF_WORKER_MAX_BATCH_SIZE", "TRACKER_BATCH_SIZE", "500", 500),
    ("CAF_WORKER_MAX_BATCH_TIME", "TRACKER_BATCH_WAIT_MS", "10000", 10_000),
    ("CAF_JOB_TRACKING_PROPAGATE_FAILURES", "TRACKER_PROPAGATE_FAILURES", "true", True),
    ("CAF_WEBSERVICE_URL", "TRACKER_SERVICE_URL", "http://jobs/v1", "http://jobs/v1"),
    ("CAF_STATUS_CHECK_INTERVAL_SECONDS", "TRACKER_STATUS_CHECK_INTERVAL_SECONDS", "9", 9),
]


@pytest.mark.parametrize(("alias", "name", "text", "value"), ALIASES)
def test_alias_means_the_same(alias: str, name: str, text: str, value: object) -> None:
    assert getattr(loaded(**{alias: text}), name.removeprefix("TRACKER_").lower()) == value


@pytest.mark.parametrize(("alias", "name", "text", "value"), ALIASES)
def test_alias_and_name_may_both_be_set_to_the_same(alias: str, name: str, text: str, value: object) -> None:
    settings = loaded(**{alias: text, name: text})
    assert getattr(settings, name.removeprefix("TRACKER_").lower()) == value


def test_alias_and_name_are_the_same_if_they_mean_the_same() -> None:
    settings = loaded(CAF_JOB_TRACKING_PROPAGATE_FAILURES="TRUE", TRACKER_PROPAGATE_FAILURES="1")
    assert settings.propagate_failures


def test_alias_and_name_that_differ_are_a_problem_naming_both() -> None:
    assert problem(CAF_WORKER_MAX_BATCH_SIZE="1", TRACKER_BATCH_SIZE="2") == (
        'TRACKER_BATCH_SIZE is "2" and CAF_WORKER_MAX_BATCH_SIZE is "1": they set the same; make them '
        "equal, or leave one out."
    )


def test_alias_with_a_bad_value_is_named_itself() -> None:
    assert problem(CAF_WORKER_MAX_BATCH_TIME="soon").startswith('CAF_WORKER_MAX_BATCH_TIME is "soon"')


def test_alias_and_name_both_bad_are_two_problems() -> None:
    assert len(problems(CAF_WORKER_MAX_BATCH_SIZE="x", TRACKER_BATCH_SIZE="y")) == 2


@pytest.mark.parametrize("alias", [row[0] for row in ALIASES])
def test_empty_alias_counts_as_not_set(alias: str) -> None:
    assert loaded(**{alias: ""}) == loaded()


def test_unknown_variable_is_a_problem_with_the_nearest_name() -> None:
    assert problem(TRACKER_BATCHSIZE="5") == (
        'TRACKER_BATCHSIZE is "5": no setting has this name; did you mean TRACKER_BATCH_SIZE?'
    )


def test_unknown_variable_like_none_is_a_problem_without_a_guess() -> None:
    assert "did you mean" not in problem(TRACKER_XYZZY="5")


@pytest.mark.parametrize("name", ["TRACKERS", "MY_TRACKER_X", "CAF_RABBITMQ_HOST", "tracker_topics"])
def test_variable_without_the_prefix_is_ignored(name: str) -> None:
    assert loaded(**{name: "x"}) == loaded()


@pytest.mark.parametrize("service", ["TRACKER", "TRACKER_WEB", "TRACKER_KAFKA", "TRACKER_KAFKA_CONSUMER"])
def test_variables_that_kubernetes_sets_for_a_service_are_passed_over(service: str) -> None:
    links = {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "80",
        "SERVICE_PORT_HTTP": "80",
        "PORT": "tcp://10.0.0.1:80",
        "PORT_80_TCP": "tcp://10.0.0.1:80",
        "PORT_80_TCP_PROTO": "tcp",
        "PORT_80_TCP_PORT": "80",
        "PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert loaded(**{f"{service}_{suffix}": value for suffix, value in links.items()}) == loaded()


def test_port_is_the_users_also_beside_a_service_of_that_name() -> None:
    service = {"TRACKER_HTTP_SERVICE_HOST": "10.0.0.1", "TRACKER_HTTP_SERVICE_PORT": "80"}
    assert loaded(**service, TRACKER_HTTP_PORT="9090").http_port == 9090


def test_variable_that_only_looks_like_one_of_kubernetes_is_unknown() -> None:
    assert problem(TRACKER_SERVICE_PORT="80").startswith("TRACKER_SERVICE_PORT")


def test_unknown_variable_with_a_name_like_a_secrets_is_masked() -> None:
    assert "hush" not in problem(TRACKER_DATABASE_PASSWORD="hush")


def test_file_variable_of_what_is_no_secret_is_a_problem() -> None:
    assert "only secrets can be read from a file" in problem(TRACKER_WORKERS_FILE="/x")
