"""A Kafka and a PostgreSQL with TLS, logins and rights; and a deployment that has just those it needs."""

import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from confluent_kafka.admin import AclBinding
from psycopg import sql

from tests.security import acls
from tests.security.certificates import Certificates
from tests.security.servers import SecureKafka, SecurePostgres
from tests.security.tokens import IdentityProvider
from tests.support import invariants
from tests.support.deployment import Deployment, Topics
from tests.support.program import ROOT
from tracker.stack.lifetime import Watchdog
from tracker.stack.server import clean_environment
from tracker.store import grants
from tracker.store.migrate import migrate

PASSWORD = "hush-äß/@:'%"


@dataclass
class Secure:
    """The two servers, and who can log in: `owner`, `runner` and `reader` in PostgreSQL."""

    folder: Path
    certificates: Certificates
    tokens: IdentityProvider
    kafka: SecureKafka
    postgres: SecurePostgres


@pytest.fixture(scope="session")
def secure() -> Iterator[Secure]:
    """The servers, for all tests of this folder; started only for them."""
    watchdog = Watchdog()
    folder = Path(tempfile.mkdtemp(prefix="tracker-secure-"))
    folder.chmod(0o711)
    watchdog.watch_directory(folder)
    certificates = Certificates(folder)
    tokens = IdentityProvider(folder, PASSWORD)
    kafka = SecureKafka(folder, certificates, tokens.keys, watchdog)
    postgres = SecurePostgres(folder, certificates, watchdog)
    try:
        kafka.launch()
        postgres.start()
        with psycopg.connect(postgres.server.url, autocommit=True) as connection:
            for role in ("owner", "runner", "reader"):
                create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
                connection.execute(create.format(sql.Identifier(role), sql.Literal(PASSWORD)))
        kafka.wait_until_started()
        yield Secure(folder, certificates, tokens, kafka, postgres)
    finally:
        kafka.broker.kill()
        postgres.server.kill()
        tokens.close()
        watchdog.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(secure: Secure) -> Iterator[str]:
    """The name of a database of the test's own, which its owner has migrated, and granted to the others."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    create = "CREATE DATABASE {0} TEMPLATE template0; GRANT CREATE ON DATABASE {0} TO owner"
    with psycopg.connect(secure.postgres.server.url, autocommit=True) as connection:
        for statement in create.split("; "):
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
        try:
            owner = url_of(secure, name, "owner")
            migrate(owner)
            grants.grant(owner, [("runner", grants.RUN), ("reader", grants.READ)])
            yield name
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def url_of(secure: Secure, database: str, user: str) -> str:
    """Return how a role gets to a database, as docs/security.md says."""
    params = {"sslmode": "verify-full", "sslrootcert": str(secure.certificates.authority)}
    return secure.postgres.url(database, user, PASSWORD, **params)


class Secured(Deployment):
    """One whose tracker has the least rights, in Kafka and PostgreSQL. Tests use a door of their own.

    `user` is the tracker's in Kafka, and `acls` are those that the page lists for `tracker run`.
    """

    def __init__(self, secure: Secure, database: str, *, create_topics: bool = True) -> None:
        suffix = uuid.uuid4().hex[:12]
        self.user = f"user-{suffix}"
        topics = Topics(*(f"{name}-{suffix}" for name in ("tracking", "work", "results", "dead-letters")))
        super().__init__(secure.kafka.address, secure.postgres.server.url_of(database), topics)
        secure.kafka.add_user(self.user, PASSWORD)
        if create_topics:
            self.kafka.create(dict.fromkeys(topics, 1))
        password = secure.folder / f"{self.user}.password"
        password.write_text(PASSWORD + "\n")
        self.by_password = acls.block("A user name and password, by SCRAM:") | {
            "TRACKER_KAFKA_BOOTSTRAP_SERVERS": secure.kafka.login_address,
            "TRACKER_KAFKA_SSL_CA_LOCATION": str(secure.certificates.authority),
            "TRACKER_KAFKA_SASL_USERNAME": self.user,
            "TRACKER_KAFKA_SASL_PASSWORD_FILE": str(password),
        }
        self.by_token = acls.block("A token from an identity provider (OAUTHBEARER, OpenID Connect):") | {
            "TRACKER_KAFKA_BOOTSTRAP_SERVERS": secure.kafka.login_address,
            "TRACKER_KAFKA_SSL_CA_LOCATION": str(secure.certificates.authority),
            "TRACKER_KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL": secure.tokens.url,
            "TRACKER_KAFKA_SASL_OAUTHBEARER_CLIENT_ID": self.user,
            "TRACKER_KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET_FILE": str(password),
        }
        shown, key = secure.certificates.client(self.user)
        self.by_certificate = acls.block("A certificate of the client (mTLS):") | {
            "TRACKER_KAFKA_BOOTSTRAP_SERVERS": secure.kafka.certificate_address,
            "TRACKER_KAFKA_SSL_CA_LOCATION": str(secure.certificates.authority),
            "TRACKER_KAFKA_SSL_CERTIFICATE_LOCATION": str(shown),
            "TRACKER_KAFKA_SSL_KEY_LOCATION": str(key),
        }
        self._others = self.variables | {
            "TRACKER_DATABASE_URL": url_of(secure, database, "runner"),
            "TRACKER_WORKERS": "1",
        }
        self.log_in(self.by_password)

    def log_in(self, variables: dict[str, str]) -> None:
        """Have the tracker log in to Kafka in this way."""
        self.variables = self._others | variables

    def acls(self, command: str) -> list[tuple[acls.Row, list[AclBinding]]]:
        """Return the rows of a command, each as ACLs for this deployment."""
        topics = self.topics
        names = {
            "tracking topic": [topics.tracking],
            "dead-letter topic": [topics.dead_letters],
            "destination": [topics.work, topics.results],
            "group": [self.group_id],
        }
        found = []
        for row in acls.rows():
            if row.command == command:
                [placeholder] = [name for name in names if f"*{name}*" in row.name]
                found.append(
                    (row, [row.binding(self.user, {placeholder: name}) for name in names[placeholder]])
                )
        return found

    def allow_all(self, secure: Secure) -> None:
        """Create all ACLs that the page lists for `tracker run`."""
        secure.kafka.allow(*(binding for _, bindings in self.acls("run") for binding in bindings))


@pytest.fixture
def tracker(secure: Secure, database: str) -> Iterator[Secured]:
    """A deployment with no ACLs yet, and nothing running."""
    deployment = Secured(secure, database)
    try:
        yield deployment
        deployment.stop()
        invariants.check(deployment)
    finally:
        deployment.close()


def command(deployment: Deployment, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``tracker`` with the deployment's settings, as a user does."""
    environment = clean_environment(**{"PYTHONPATH": str(ROOT), **deployment.variables, **variables})
    return subprocess.run(
        [sys.executable, "-m", "tracker", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
