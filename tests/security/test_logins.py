"""TLS and logins: each way that docs/security.md shows works, and what is wrong is one sentence."""

import re
from collections.abc import Callable

import psycopg
import pytest

from tests.security.conftest import Secure, Secured, command, url_of
from tracker.errors import DatabaseUnavailable
from tracker.store.connect import connect

Change = Callable[[Secure], dict[str, str | None]]


@pytest.mark.parametrize("way", ["by_password", "by_token", "by_certificate"])
def test_each_way_to_log_in_to_kafka_works(secure: Secure, tracker: Secured, way: str) -> None:
    tracker.allow_all(secure)
    tracker.log_in(getattr(tracker, way))
    tracker.submit("job")
    tracker.submit("next", "job")
    with tracker.running():
        tracker.wait_until_sent()
        tracker.process(
            tracker.more_work("acme:job.1"), tracker.message("acme:job.1*"), tracker.message("acme:job.0")
        )
        tracker.wait_until_sent()
    assert [each.task for each in tracker.work()] == ["acme:job", "acme:job.1", "acme:next"]
    assert len(tracker.results()) == len(tracker.dead_letters()) == 1


@pytest.mark.parametrize(
    ("way", "change", "sentence"),
    [
        (
            "by_password",
            lambda _: {"TRACKER_KAFKA_SASL_PASSWORD": "wrong-hush", "TRACKER_KAFKA_SASL_PASSWORD_FILE": None},
            ".*SASL authentication error: Authentication failed.*",
        ),
        (
            "by_password",
            lambda secure: {"TRACKER_KAFKA_SSL_CA_LOCATION": str(secure.certificates.stranger)},
            ".*certificate verify failed.*",
        ),
        (
            "by_password",
            lambda secure: {"TRACKER_KAFKA_SSL_CA_LOCATION": "/no/such/file"},
            ".*ssl.ca.location failed.*",
        ),
        pytest.param(
            "by_certificate",
            lambda secure: {
                "TRACKER_KAFKA_SSL_CERTIFICATE_LOCATION": None,
                "TRACKER_KAFKA_SSL_KEY_LOCATION": None,
            },
            ".*",
            marks=pytest.mark.soak,
        ),
        pytest.param(
            "by_token",
            lambda _: {
                "TRACKER_KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET": "wrong-hush",
                "TRACKER_KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET_FILE": None,
            },
            ".*",
            marks=pytest.mark.soak,
        ),
    ],
)
def test_a_login_that_fails_is_one_sentence(
    tracker: Secured, secure: Secure, way: str, change: Change, sentence: str
) -> None:
    tracker.log_in(getattr(tracker, way))
    changed = {**tracker.variables, **change(secure)}
    tracker.variables = {name: text for name, text in changed.items() if text is not None}
    done = command(tracker, "config", "--check")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert re.fullmatch(
        "(Kafka does not answer|Kafka does not let the tracker in|The Kafka client refuses its properties): "
        f"{sentence}\\.",
        line,
    )
    assert "hush" not in done.stdout + done.stderr


def test_sessions_of_postgresql_are_encrypted(secure: Secure, database: str) -> None:
    with connect(url_of(secure, database, "runner")) as connection:
        found = connection.execute(
            "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchall()
    assert found == [(True, "TLSv1.3")]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"sslmode": "disable"}, "no encryption"),
        ({"sslrootcert": "stranger"}, "certificate verify failed"),
        ({"host": "other.example", "hostaddr": "127.0.0.1"}, 'does not match host name "other.example"'),
        ({"password": "wrong-hush"}, "password authentication failed"),
        ({"sslrootcert": "/no/such/file"}, 'root certificate file "/no/such/file" does not exist'),
    ],
)
def test_a_server_that_cannot_be_trusted_or_does_not_trust_is_one_sentence(
    secure: Secure, database: str, params: dict[str, str], sentence: str
) -> None:
    if params.get("sslrootcert") == "stranger":
        params = {"sslrootcert": str(secure.certificates.stranger)}
    url = psycopg.conninfo.make_conninfo(url_of(secure, database, "runner"), **params)
    with pytest.raises(DatabaseUnavailable) as caught:
        connect(url)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)
