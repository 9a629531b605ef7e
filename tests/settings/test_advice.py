"""Warnings: what is allowed, and probably a mistake."""

import pytest

from tests.support.environments import loaded

SASL = {
    "TRACKER_KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
    "TRACKER_KAFKA_SASL_MECHANISM": "PLAIN",
    "TRACKER_KAFKA_SASL_PASSWORD": "hush",
}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        SASL,
        {**SASL, "TRACKER_KAFKA_SSL_CA_LOCATION": "/ca.pem"},
        {"TRACKER_KAFKA_SECURITY_PROTOCOL": "ssl", "TRACKER_KAFKA_SSL_CA_LOCATION": "/ca.pem"},
        {
            **SASL,
            "TRACKER_KAFKA_SECURITY_PROTOCOL": "sasl_plaintext",
            "TRACKER_KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
        },
        {
            **SASL,
            "TRACKER_KAFKA_SECURITY_PROTOCOL": "sasl_plaintext",
            "TRACKER_KAFKA_BOOTSTRAP_SERVERS": "localhost:9092,127.0.0.1,[::1]:1",
        },
        {"TRACKER_DATABASE_URL": "postgresql://db.example/x"},
        {"TRACKER_DATABASE_URL": "postgresql://u:hush@localhost/x"},
        {"TRACKER_DATABASE_URL": "postgresql://u:hush@/x?host=/run/postgresql"},
        {"TRACKER_DATABASE_URL": "postgresql://u:hush@db.example/x?sslmode=verify-full"},
        {"TRACKER_DATABASE_URL": "postgresql://u:hush@db.example/x", "PGSSLMODE": "require"},
    ],
)
def test_sound_settings_have_no_warning(variables: dict[str, str]) -> None:
    assert loaded(**variables).warnings == ()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"TRACKER_KAFKA_SASL_PASSWORD": "hush"}, "sasl.password is set, but security.protocol is plaintext"),
        (
            {"TRACKER_KAFKA_SSL_CA_LOCATION": "/ca"},
            "ssl.ca.location is set, but security.protocol is plaintext",
        ),
        ({**SASL, "TRACKER_KAFKA_SECURITY_PROTOCOL": "sasl_plaintext"}, "sasl.password crosses the network"),
        (
            {
                "TRACKER_KAFKA_SECURITY_PROTOCOL": "sasl_plaintext",
                "TRACKER_KAFKA_SASL_MECHANISM": "OAUTHBEARER",
            },
            "the token crosses the network",
        ),
        (
            {**SASL, "TRACKER_KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL": "http://identity.example/token"},
            "the client's secret crosses the network",
        ),
        ({**SASL, "TRACKER_KAFKA_ENABLE_SSL_CERTIFICATE_VERIFICATION": "no"}, "verification is false"),
        ({**SASL, "TRACKER_KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM": "none"}, "algorithm is none"),
        ({**SASL, "TRACKER_KAFKA_ENABLE_SASL_OAUTHBEARER_UNSECURE_JWT": "yes"}, "such tokens prove nothing"),
        ({"TRACKER_DATABASE_URL": "postgresql://u:hush@db.example/x"}, "db.example with sslmode=prefer"),
        ({"TRACKER_DATABASE_URL": "postgresql://u:hush@db.example/x?sslmode=allow"}, "sslmode=allow"),
        ({"TRACKER_DATABASE_URL": "postgresql://u:hush@localhost,db.example/x"}, "db.example"),
        (
            {"TRACKER_DATABASE_URL": "dbname=x user=u", "PGHOST": "db.example", "PGPASSWORD": "hush"},
            "db.example",
        ),
        ({"JOB_SERVICE_DATABASE_PASSWORD": "hush"}, "goes to db with sslmode=prefer"),
    ],
)
def test_probable_mistake_is_one_warning(variables: dict[str, str], words: str) -> None:
    (warning,) = loaded(**variables).warnings
    assert words in warning
    assert "hush" not in warning


def test_mistake_of_one_side_is_found() -> None:
    assert loaded(**{**SASL, "TRACKER_KAFKA_PRODUCER_SECURITY_PROTOCOL": "plaintext"}).warnings
