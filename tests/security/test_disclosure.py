"""What the tracker shows of itself: no secret, nothing of a payload, and nothing that steers a terminal."""

import base64
import json
import urllib.request
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

import pytest

from tests.security.conftest import PASSWORD, Secure, Secured, command
from tests.support.messages import record_of, report
from tests.support.program import Program
from tests.support.records import Record

# Whatever a client or a log may make of it.
FORMS = {
    PASSWORD,
    quote(PASSWORD, safe=""),
    json.dumps(PASSWORD)[1:-1],
    PASSWORD.encode("unicode_escape").decode(),
    base64.b64encode(PASSWORD.encode()).decode(),
    PASSWORD.encode().hex(),
    "hush",
}
WRONG = PASSWORD + "-wrong"
MARK = "s3cr3t-p4yl04d"


def require_no_secret(*texts: str) -> None:
    """Fail where one of the texts has the password, in whatever form."""
    for text in texts:
        assert text
        for form in FORMS:
            place = text.find(form)
            assert place < 0, text[max(0, place - 200) : place + 100]


def pages(program: Program) -> list[str]:
    """Return what a tracker serves."""
    port = program.wait_for("serving HTTP")["port"]
    found = []
    for page in ("metrics", "readyz", "livez"):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=30) as answer:
                found.append(answer.read().decode())
        except HTTPError as not_ready:
            found.append(not_ready.read().decode())
    return found


@pytest.mark.parametrize("way", ["by_password", pytest.param("by_token", marks=pytest.mark.soak)])
def test_no_secret_is_shown_while_it_runs(secure: Secure, tracker: Secured, way: str) -> None:
    tracker.allow_all(secure)
    tracker.log_in(getattr(tracker, way))
    talkative = {"TRACKER_LOG_LEVEL": "debug", "TRACKER_KAFKA_DEBUG": "all", "TRACKER_HTTP_PORT": "0"}
    tracker.submit("job")
    tracker.send(tracker.message("acme:job.1"))
    with Program(tracker.variables | talkative) as program:
        program.wait_for("ready")
        tracker.wait_until_processed()
        require_no_secret(*pages(program))
        assert program.stop() == 0
        assert "SASL" in program.text(), "librdkafka says nothing of its login: the test proves nothing"
        require_no_secret(program.text())


@pytest.mark.soak
def test_no_secret_is_shown_where_it_is_wrong(tracker: Secured, secure: Secure) -> None:
    variables = {name: text for name, text in tracker.variables.items() if not name.endswith("PASSWORD_FILE")}
    variables["TRACKER_KAFKA_SASL_PASSWORD"] = WRONG
    talkative = {"TRACKER_LOG_LEVEL": "debug", "TRACKER_HTTP_PORT": "0"}
    with Program(variables | talkative) as program:
        program.wait_for_text("waiting for Kafka")
        require_no_secret(*pages(program))
        assert program.stop() == 0
        require_no_secret(program.text())
    _, _, database = tracker.database_url.rpartition("/")
    url = secure.postgres.url(database.partition("?")[0], "runner", WRONG, sslmode="require")
    with Program(tracker.variables | talkative | {"TRACKER_DATABASE_URL": url}) as program:
        program.wait_for_text("password authentication failed")
        require_no_secret(*pages(program))
        assert program.stop() == 0
        require_no_secret(program.text())


@pytest.mark.parametrize(
    "arguments",
    [
        ["config"],
        pytest.param(["config", "--json", "--check"], marks=pytest.mark.soak),
        pytest.param(["topics"], marks=pytest.mark.soak),
        ["migrate", "--status"],
        ["job", "list"],
        ["job", "submit", "/no/such/file"],
        pytest.param(["adopt", "database", "--dry-run"], marks=pytest.mark.soak),
        ["run"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_no_secret_is_shown_by_commands_that_fail(
    tracker: Secured, secure: Secure, arguments: list[str]
) -> None:
    """With wrong passwords in a URI, in what libpq reads and librdkafka is given; one under a wrong name."""
    uri = f"postgresql://runner:{quote(WRONG, safe='')}@127.0.0.1:{secure.postgres.server.port}/x"
    wrong = {
        "TRACKER_DATABASE_URL": uri,
        "PGPASSWORD": WRONG,
        "TRACKER_KAFKA_SASL_PASSWORD": WRONG,
        "TRACKER_KAFKA_SASL_PASSWORD_FILE": "",
        **({"TRACKER_KAFKA_SASL_PASWORD": WRONG} if arguments == ["run"] else {}),
    }
    if arguments != ["run"]:
        tracker.variables.pop("TRACKER_KAFKA_SASL_PASSWORD_FILE")
        del wrong["TRACKER_KAFKA_SASL_PASSWORD_FILE"]
    done = command(tracker, *arguments, **wrong)
    assert "Traceback" not in done.stderr
    assert done.returncode == (0 if arguments == ["config"] else 2 if arguments == ["run"] else 1)
    require_no_secret(done.stdout + done.stderr)


def test_nothing_of_a_payload_is_in_logs_and_metrics(secure: Secure, tracker: Secured) -> None:
    tracker.allow_all(secure)
    task_data = base64.b64encode(f"{MARK} data".encode()).decode()
    headers = ((f"x-{MARK}", MARK.encode()), ("x-caf-worker-rejected", f"{MARK} reason".encode()))
    payload = {
        "taskData": task_data,
        "taskClassifier": MARK,
        "context": {MARK: MARK},
        "correlationId": MARK,
        "sourceInfo": {"name": MARK, "version": MARK},
        f"own-{MARK}": MARK,
    }
    failure = {"failureId": MARK, "failureTime": 1, "failureSource": MARK, "failureMessage": MARK}
    tracker.submit("job", external_data=MARK, description=MARK, labels={"owner": MARK})
    tracker.send(
        with_fields(tracker.more_work("acme:job.1", headers=headers), payload),
        with_fields(tracker.message("acme:job.2", status="INVALID_TASK"), payload),
        with_fields(tracker.message("acme:job.3", status=MARK, headers=headers), payload),
        with_fields(tracker.message("acme:job.0"), payload),
        with_fields(tracker.message("acme:job.4", to=f"no-topic-{MARK}"), payload),
        with_fields(tracker.message("acme:job.5", to="a\n\x1b[2J\x9b"), payload),
        with_fields(tracker.event(), {"taskClassifier": f"{MARK}\n"}),
        tracker.event(report("acme:job.6", "Failed", failure=failure)),
        record_of(f'{{"{MARK}": '.encode()),
        record_of(f'{{"taskId": "{MARK}", "to": 1}}'.encode()),
        record_of(f"{MARK}\x1b[2J\n".encode()),
    )
    with Program(tracker.variables | {"TRACKER_LOG_LEVEL": "debug", "TRACKER_HTTP_PORT": "0"}) as program:
        tracker.programs = 1
        tracker.wait_until_processed()
        metrics = pages(program)[0]
        assert program.stop() == 0
        assert len(tracker.dead_letters()) >= 5
        for text in (metrics, program.text()):
            assert MARK not in text
            assert task_data not in text
        for name in ("acme", "DocumentWorker", tracker.topics.work, tracker.topics.results):
            assert name not in metrics
        assert all(line.isprintable() for line in program.text().splitlines())


def with_fields(record: Record, fields: dict[str, Any]) -> Record:
    """Return a record whose message has these fields too."""
    message = json.loads(record.value or b"") | fields
    return record._replace(value=json.dumps(message).encode())
