"""A Kafka and a PostgreSQL that let nobody in without TLS and a login, and grant nothing by themselves."""

import os
import shutil
import time
from pathlib import Path

import psycopg
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from psycopg.conninfo import make_conninfo

from tests.security.certificates import Certificates
from tests.security.tokens import AUDIENCE
from tracker.stack import KafkaBroker, PostgresServer
from tracker.stack.kafka import START_TIMEOUT_S, ClusterPlan
from tracker.stack.kafka_software import find_kafka
from tracker.stack.lifetime import Watchdog
from tracker.stack.ports import free_ports
from tracker.stack.postgres import find_postgres

_TIMEOUT_S = 30.0
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_OAUTH = "org.apache.kafka.common.security.oauthbearer"


class SecureKafka:
    """One broker with TLS, logins and ACLs.

    Listeners: `login_address` (TLS, with SCRAM or a token), `certificate_address` (TLS, where clients show a
    certificate), and `address`, the tests' own door, where everyone may do everything.
    """

    def __init__(
        self, directory: Path, certificates: Certificates, token_keys: Path, watchdog: Watchdog
    ) -> None:
        clients, controller, login, certificate = free_ports(4)
        keys = directory / "kafka.pem"  # the key and the certificate
        shown, key = certificates.server()
        keys.write_text(key.read_text() + shown.read_text())
        settings = {
            "listeners": f"CLIENTS://127.0.0.1:{clients},CONTROLLER://127.0.0.1:{controller},"
            f"LOGIN://127.0.0.1:{login},CERTIFICATE://127.0.0.1:{certificate}",
            "advertised.listeners": f"CLIENTS://127.0.0.1:{clients},LOGIN://127.0.0.1:{login},"
            f"CERTIFICATE://127.0.0.1:{certificate}",
            "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT,"
            "LOGIN:SASL_SSL,CERTIFICATE:SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(keys),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(certificates.authority),
            "listener.name.login.sasl.enabled.mechanisms": "SCRAM-SHA-512,OAUTHBEARER",
            "listener.name.login.scram-sha-512.sasl.jaas.config": _SCRAM,
            "listener.name.login.oauthbearer.sasl.jaas.config": f"{_OAUTH}.OAuthBearerLoginModule required;",
            "listener.name.login.oauthbearer.sasl.server.callback.handler.class": (
                f"{_OAUTH}.OAuthBearerValidatorCallbackHandler"
            ),
            "listener.name.login.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": token_keys.as_uri(),
            "listener.name.login.oauthbearer.sasl.oauthbearer.expected.audience": AUDIENCE,
            "listener.name.certificate.ssl.client.auth": "required",
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/",
            # Kafka's default, and what a tracker must not use.
            "auto.create.topics.enable": "true",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": "User:ANONYMOUS",
        }
        allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={token_keys.as_uri()}"
        software = find_kafka(lambda _: None)
        plan = ClusterPlan(software, (clients,), (controller,), "512m", settings, [allowed])
        self.broker = KafkaBroker(directory / "kafka", 1, plan, watchdog)
        self.address = self.broker.address
        self.login_address = f"127.0.0.1:{login}"
        self.certificate_address = f"127.0.0.1:{certificate}"

    def launch(self) -> None:
        """Start it, and return at once; `wait_until_started` is to follow."""
        self.broker.launch()

    def wait_until_started(self) -> None:
        """Wait until it serves."""
        self.broker.wait_until_started(time.monotonic() + START_TIMEOUT_S)
        self.admin = AdminClient({"bootstrap.servers": self.address})

    def add_user(self, name: str, password: str) -> None:
        """Let a user log in by SCRAM-SHA-512; it may do nothing yet."""
        credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion(name, credential, password.encode())
        for done in self.admin.alter_user_scram_credentials([change]).values():
            done.result(timeout=_TIMEOUT_S)

    def allow(self, *bindings: AclBinding) -> None:
        """Add ACLs; the one broker obeys at once."""
        for done in self.admin.create_acls(list(bindings)).values():
            done.result(timeout=_TIMEOUT_S)

    def forbid(self, *bindings: AclBinding) -> None:
        """Take ACLs away."""
        for done in self.admin.delete_acls([_just(each) for each in bindings]).values():
            assert done.result(timeout=_TIMEOUT_S)


class SecurePostgres:
    """A PostgreSQL server that takes logins over TLS only, but for its superuser's."""

    def __init__(self, directory: Path, certificates: Certificates, watchdog: Watchdog) -> None:
        self.server = PostgresServer(directory / "postgres", find_postgres(), watchdog=watchdog)
        self._pair = certificates.server()

    def start(self) -> None:
        """Start it, and wait until it serves."""
        self.server.start()
        folder = self.server.directory
        owner = folder.stat()
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            for path, setting in zip(self._pair, ("ssl_cert_file", "ssl_key_file"), strict=True):
                copy = Path(shutil.copy(path, folder))
                os.chown(copy, owner.st_uid, owner.st_gid)
                copy.chmod(0o600)
                connection.execute(f"ALTER SYSTEM SET {setting} = '{copy}'".encode())
            (folder / "data" / "pg_hba.conf").write_text(
                "host all tracker 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
            )
            connection.execute("ALTER SYSTEM SET ssl = on")
            connection.execute("SELECT pg_reload_conf()")

    def url(self, database: str, user: str, password: str, **params: str) -> str:
        """Return how a user gets to a database."""
        return make_conninfo(
            host="127.0.0.1",
            port=self.server.port,
            dbname=database,
            user=user,
            password=password,
            **params,
        )


def binding(
    user: str, kind: ResourceType, name: str, operation: AclOperation, *, prefix: bool = False
) -> AclBinding:
    """Return the ACL that lets a user do something with what has this name, or begins with it."""
    pattern = ResourcePatternType.PREFIXED if prefix else ResourcePatternType.LITERAL
    return AclBinding(kind, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)


def _just(each: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        each.restype,
        each.name,
        each.resource_pattern_type,
        each.principal,
        each.host,
        each.operation,
        each.permission_type,
    )
