"""Warns of settings that are allowed, but probably not meant."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlsplit

from psycopg import conninfo

from tracker.settings.database import Database
from tracker.settings.kafka import KafkaProperty, effective

# What these mechanisms send without encryption of their own.
_EXPOSED = MappingProxyType({"PLAIN": "sasl.password", "OAUTHBEARER": "the token"})
_ENCRYPTED = {"require", "verify-ca", "verify-full"}


def advice(environ: Mapping[str, str], kafka: Sequence[KafkaProperty], database: Database) -> tuple[str, ...]:
    """Return a sentence for each probable mistake. Most of these mistakes would disclose a secret."""
    sides = (effective(kafka, "consumer"), effective(kafka, "producer"))
    sentences = dict.fromkeys(sentence for side in sides for sentence in _about_kafka(side))
    return (*sentences, *_about_database(environ, database))


def _about_kafka(side: Mapping[str, str]) -> Iterator[str]:
    protocol = side.get("security.protocol", "plaintext")
    if not protocol.startswith("sasl") and (unused := _unused(side, "sasl.")):
        yield f"{unused} is set, but security.protocol is {protocol}: Kafka is reached without a login."
    if not protocol.endswith("ssl") and (unused := _unused(side, "ssl.")):
        yield f"{unused} is set, but security.protocol is {protocol}: Kafka is reached without encryption."
    exposed = _EXPOSED.get(_mechanism(side))
    if protocol == "sasl_plaintext" and exposed and not _all_brokers_local(side):
        yield f"{exposed} crosses the network in plain text, because security.protocol is sasl_plaintext."
    endpoint = side.get("sasl.oauthbearer.token.endpoint.url", "")
    if endpoint.lower().startswith("http://") and not _is_local(urlsplit(endpoint).hostname or ""):
        yield "the client's secret crosses the network in plain text: the token endpoint has an http URL."
    if protocol.endswith("ssl") and side.get("enable.ssl.certificate.verification") == "false":
        yield "enable.ssl.certificate.verification is false: anyone can pose as a broker."
    elif protocol.endswith("ssl") and side.get("ssl.endpoint.identification.algorithm") == "none":
        yield "ssl.endpoint.identification.algorithm is none: any certificate is accepted for a broker."
    if side.get("enable.sasl.oauthbearer.unsecure.jwt") == "true":
        yield "enable.sasl.oauthbearer.unsecure.jwt is true: such tokens prove nothing and are for tests."


def _unused(side: Mapping[str, str], prefix: str) -> str | None:
    return next((name for name in side if name.startswith(prefix)), None)


def _mechanism(side: Mapping[str, str]) -> str:
    return side.get("sasl.mechanism", side.get("sasl.mechanisms", "GSSAPI")).upper()


def _all_brokers_local(side: Mapping[str, str]) -> bool:
    brokers = side.get("bootstrap.servers", side.get("metadata.broker.list", "")).split(",")
    return all(_is_local(_host(broker.strip())) for broker in brokers)


def _host(broker: str) -> str:
    return re.sub(r":[0-9]+$", "", broker.rpartition("://")[2]).strip("[]")


def _about_database(environ: Mapping[str, str], database: Database) -> Iterator[str]:
    params = conninfo.conninfo_to_dict(database.conninfo.get_secret_value())
    hosts = str(params.get("host") or params.get("hostaddr") or environ.get("PGHOST") or "").split(",")
    has_password = bool(params.get("password") or environ.get("PGPASSWORD"))
    mode = str(params.get("sslmode") or environ.get("PGSSLMODE") or "prefer")
    remote = next((host for host in hosts if not _is_local(host)), None)
    if has_password and remote and mode not in _ENCRYPTED:
        yield (
            f"The password for PostgreSQL goes to {remote} with sslmode={mode}, perhaps unencrypted: "
            "set sslmode=verify-full, or at least require, in the connection string or as PGSSLMODE."
        )


def _is_local(host: str) -> bool:
    return host in {"", "localhost", "::1"} or host.startswith(("/", "@", "127."))
