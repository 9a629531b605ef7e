"""Liveness, readiness and metrics, asked over HTTP from a supervisor that runs."""

import http.client
import json
import os
import signal
import socket
from contextlib import suppress

import pytest
from prometheus_client.parser import text_string_to_metric_families

import tracker
from tests.supervisor.harness import Program
from tests.support.times import is_recent
from tracker.metrics import CATALOGUE, Kind, Recorder
from tracker.supervisor import http as endpoint
from tracker.supervisor.health import LOOP_LIMIT_S, Health
from tracker.supervisor.http import Endpoint
from tracker.supervisor.totals import Totals


def test_it_is_ready_when_every_child_is() -> None:
    with Program(worker_0="good", worker_1="joining") as program:
        program.next("child started", child="worker-1")
        missing = {"worker-1": "joining the group"}
        while (answer := program.get_until("/readyz", 503))["missing"] != missing:
            assert not answer["ready"]
        assert program.get_until("/livez", 200) == {"live": True, "problems": {}}
        assert program.metric("tracker_workers") == 2
    with Program(worker_0="good") as program:
        assert program.get_until("/readyz", 200) == {"ready": True, "missing": {}, "degraded": {}}


def test_it_is_not_ready_while_it_stops() -> None:
    with Program(worker_0="deaf", shutdown_timeout_s=3.0) as program:
        program.next("ready")
        program.signal(signal.SIGTERM)
        assert program.get_until("/readyz", 503)["missing"] == {"supervisor": "stopping"}


def test_it_says_why_a_child_refuses_while_the_others_stop() -> None:
    with Program(worker_0="refusing_in_words", worker_1="deaf", shutdown_timeout_s=5.0) as program:
        assert program.get_until("/readyz", 503)["missing"]
        program.next("child started", child="worker-1")
        while (answer := program.get_until("/readyz", 503))["missing"] != {
            "worker-0": "the offset was moved"
        }:
            assert not answer["ready"]


def test_a_child_that_keeps_dying_makes_it_not_live() -> None:
    with Program(worker_0="failing", worker_1="good", restart_policy={"failing_after_s": 1.0}) as program:
        program.next("child ended", child="worker-0")
        assert list(program.get_until("/livez", 503)["problems"]) == ["worker-0"]


def test_one_death_leaves_it_live() -> None:
    with Program(worker_0="good") as program:
        pid = program.next("child started")["pid"]
        program.next("ready")
        os.kill(pid, signal.SIGKILL)
        program.next("child ended")
        assert program.get("/livez")[0] == 200


def test_a_loop_that_does_not_turn_is_not_live() -> None:
    health = Health()
    assert not health.problems()
    health.last_loop_s -= LOOP_LIMIT_S + 1
    assert list(health.problems()) == ["supervisor"]


def test_metrics_are_those_of_the_catalogue() -> None:
    with Program(worker_0="good") as program:
        program.next("ready")
        families = {family.name for family in text_string_to_metric_families(program.get("/metrics")[1])}
        assert families == set(CATALOGUE)
        assert program.metric("tracker_build_info", version=tracker.__version__) == 1
        assert program.metric("tracker_dead_letters_total", reason="not-json") == 0
        progress_s = program.metric("tracker_last_progress_timestamp_seconds", process="worker-0")
        assert progress_s is not None
        assert is_recent(progress_s * 1000)


def test_head_says_the_same_without_a_body() -> None:
    with Program(worker_0="good") as program:
        program.next("ready")
        for path in ("/livez", "/readyz", "/metrics"):
            assert program.get(path, "HEAD") == (200, "")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("HEAD", "/x", 404), ("POST", "/livez", 501)]
)
def test_what_is_not_there_is_refused(method: str, path: str, status: int) -> None:
    with Program(worker_0="good") as program:
        assert program.get(path, method)[0] == status


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with Program(http_port=port, worker_0="good") as program:
            assert program.wait() == 1
            (sentence,) = [line["event"] for line in program.lines if line["level"] == "error"]
            assert sentence.startswith(f"HTTP cannot be served on 127.0.0.1:{port} (the port is in use)")
            assert "child started" not in program.events()


def test_it_works_without_http() -> None:
    with Program(http_port=None, worker_0="good") as program:
        program.next("ready")
        assert "serving HTTP" not in program.events()
        assert program.stop() == 0


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "REQUEST_LIMIT_S", 0.3)
    monkeypatch.setattr(endpoint, "CONNECTION_LIMIT", 4)


@pytest.mark.usefixtures("small_limits")
def test_slow_clients_are_cut_off_and_do_not_keep_others_out() -> None:
    served = Endpoint("127.0.0.1", 0, Health(), Totals())
    slow = [socket.create_connection(("127.0.0.1", served.port), timeout=20) for _ in range(10)]
    try:
        for client in slow[:4]:
            client.sendall(b"GET /livez HTTP/1.1\r\nX: ")
        # Beyond the limit they are closed at once, below it after their time; either way they see the end.
        for client in slow:
            with suppress(ConnectionResetError):
                assert client.recv(1) == b""
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
        connection.request("GET", "/livez")
        assert json.loads(connection.getresponse().read())["live"]
        connection.close()
    finally:
        for client in slow:
            client.close()
        served.close()


def test_it_serves_on_ipv6() -> None:
    try:
        served = Endpoint("::1", 0, Health(), Totals())
    except tracker.errors.TrackerError:
        pytest.skip("this machine has no IPv6")
    with socket.create_connection(("::1", served.port), timeout=20) as client:
        client.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 200")
    served.close()


def test_histograms_are_shown_with_cumulative_buckets() -> None:
    totals = Totals()
    recorder = Recorder()
    metric = CATALOGUE["tracker_batch_records"]
    assert metric.kind is Kind.HISTOGRAM
    for value in (1, 2, 1_000_000):
        recorder.observe(metric, value)
    totals.update("worker-0", recorder.snapshot())
    served = Endpoint("127.0.0.1", 0, Health(), totals)
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    served.close()
    assert 'tracker_batch_records_bucket{le="1.0"} 1.0' in lines
    assert 'tracker_batch_records_bucket{le="3.0"} 2.0' in lines
    assert 'tracker_batch_records_bucket{le="+Inf"} 3.0' in lines
    assert "tracker_batch_records_count 3.0" in lines
    assert "tracker_batch_records_sum 1.000003e+06" in lines
