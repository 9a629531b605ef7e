"""Everything that keeps batches from moving is shown by `/readyz`, the log and the metrics, idle or not."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.endpoint import Endpoint
from tests.support.kafka import wait_until
from tests.support.program import Program
from tracker.store import grants
from tracker.store.grants import RUN

pytestmark = pytest.mark.timeout(240)

Change = Callable[[str], None]


class Login:
    """A role, and what may happen to it."""

    def __init__(self, database_url: str) -> None:
        self.name = f"role_{uuid.uuid4().hex[:12]}"
        self.password = "secret"
        self._database_url = database_url
        self._role = sql.Identifier(self.name)
        self._do("CREATE ROLE {} LOGIN PASSWORD 'secret'")
        grants.grant(database_url, [(self.name, RUN)])

    @property
    def url(self) -> str:
        return make_conninfo(self._database_url, user=self.name, password=self.password)

    def drop(self) -> None:
        self._do("ALTER ROLE {} NOLOGIN")
        self._end_sessions()
        self._do("DROP OWNED BY {}")
        self._do("DROP ROLE {}")

    def make_read_only(self) -> None:
        self._do("ALTER ROLE {} SET default_transaction_read_only = on")
        self._end_sessions()

    def make_writable(self) -> None:
        self._do("ALTER ROLE {} RESET default_transaction_read_only")
        self._end_sessions()

    def revoke(self) -> None:
        self._do("REVOKE UPDATE ON tracker.job FROM {}")

    def grant(self) -> None:
        grants.grant(self._database_url, [(self.name, RUN)])

    def rotate_password(self) -> None:
        self._do("ALTER ROLE {} PASSWORD 'other'")
        self._end_sessions()

    def put_password_back(self) -> None:
        self._do("ALTER ROLE {} PASSWORD 'secret'")

    def shut_out(self) -> None:
        self._do("ALTER ROLE {} NOLOGIN")
        self._end_sessions()

    def let_in(self) -> None:
        self._do("ALTER ROLE {} LOGIN")

    def _do(self, statement: str) -> None:
        with psycopg.connect(self._database_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(self._role))

    def _end_sessions(self) -> None:
        with psycopg.connect(self._database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", [self.name]
            )


@pytest.fixture
def login(database_url: str) -> Iterator[Login]:
    made = Login(database_url)
    yield made
    made.drop()


@pytest.fixture
def tracker(login: Login, deploy: Deploy) -> Deployment:
    return deploy(TRACKER_DATABASE_URL=login.url, TRACKER_WORKERS="1", TRACKER_HTTP_PORT="0")


def test_a_password_file_is_read_again_at_each_new_connection(
    login: Login, deploy: Deploy, tmp_path: Path
) -> None:
    file = tmp_path / "url"
    file.write_text(login.url + "\n")
    tracker = deploy(TRACKER_WORKERS="1", TRACKER_HTTP_PORT="0")
    variables = {name: text for name, text in tracker.variables.items() if name != "TRACKER_DATABASE_URL"}
    tracker.submit("job")
    with Program(variables | {"TRACKER_DATABASE_URL_FILE": str(file)}) as program:
        endpoint = Endpoint(program)
        endpoint.wait_until_ready()
        login.rotate_password()
        tracker.send(tracker.message("acme:job.1*"))
        endpoint.wait_for(503, "password authentication failed")
        login.password = "other"
        file.write_text(login.url + "\n")
        endpoint.wait_until_ready()
        tracker.wait_until_processed()
        tracker.programs = 1
        tracker.wait_until_sent()
        assert program.stop() == 0


CHANGES = pytest.mark.parametrize(
    ("spoil", "mend", "words", "busy"),
    [
        (Login.make_read_only, Login.make_writable, "read-only", False),
        (Login.make_read_only, Login.make_writable, "read-only", True),
        (Login.revoke, Login.grant, "job", False),
        (Login.revoke, Login.grant, "permission denied", True),
        (Login.rotate_password, Login.put_password_back, "password authentication failed", False),
        (Login.shut_out, Login.let_in, "not permitted to log in", True),
    ],
    ids=[
        "read-only",
        "read-only, busy",
        "right revoked",
        "right revoked, busy",
        "password rotated",
        "shut out, busy",
    ],
)


@CHANGES
def test_what_postgresql_refuses_is_reported(
    tracker: Deployment,
    login: Login,
    spoil: Callable[[Login], None],
    mend: Callable[[Login], None],
    words: str,
    busy: bool,
) -> None:
    tracker.submit("job")
    with Program(tracker.variables) as program:
        endpoint = Endpoint(program)
        endpoint.wait_until_ready()
        spoil(login)
        if busy:
            tracker.send(tracker.message("acme:job.1*"))
        answer = endpoint.wait_for(503, "waiting for PostgreSQL: ", words)
        wait_until(lambda: endpoint.waits_for("database"), "the metric to say so")
        assert endpoint.metric("tracker_ready") == 0
        assert endpoint.metric("tracker_workers_ready") == 0
        endpoint.wait_for_log(answer.complaint)
        if busy:
            no_progress = {"name": "tracker_no_progress_seconds", "process": "worker-0"}
            wait_until(lambda: endpoint.metric(**no_progress), "seconds without progress")
        mend(login)
        endpoint.wait_until_ready()
        assert not endpoint.waits_for("database")
        assert endpoint.metric("tracker_ready") == 1
        if busy:
            tracker.wait_until_processed()
            assert tracker.status("job") == "Completed"
        moving = {"name": "tracker_no_progress_seconds", "process": "worker-0"}
        wait_until(lambda: endpoint.metric(**moving) == 0, "nothing left without progress")
        assert program.stop() == 0
