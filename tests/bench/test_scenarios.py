"""Tiny runs of the scenarios on real servers: they end, verify their results, and have their figures."""

from collections.abc import Callable, Iterator

import pytest

from bench.ceiling_settings import ONE_PARTITION, SEVERAL_PARTITIONS
from bench.outcome import Outcome
from bench.progress import ProgressDisplay
from bench.scenarios import SCENARIOS
from bench.scenarios.ceiling import variations
from bench.servers import Servers
from bench.session import BenchSession, Options
from tracker.stack import LocalStack
from tracker.stack.lifetime import Watchdog

Run = Callable[..., Outcome]


@pytest.fixture
def run(stack: LocalStack) -> Iterator[Run]:
    """Run a scenario with few messages."""
    watchdog = Watchdog()

    def run(name: str, messages: int = 2_000, *, quick: bool = True, workers: int = 2) -> Outcome:
        options = Options(
            rounds=1, messages=messages, workers=workers, seed=1, batch_size=500, quick=quick, minutes=0.1
        )
        session = BenchSession(Servers.of_stack(stack), watchdog, options, ProgressDisplay(), environ={})
        return SCENARIOS[name].run(session)

    yield run
    watchdog.close()


def test_a_round_moves_every_message_and_knows_what_it_cost(run: Run) -> None:
    outcome = run("complete", 20_000)

    for name in ("ceiling", "tracker"):
        case = outcome.case(name)
        assert case["rate"].median.value > 0
        assert case["peak_mb"].median.value > 20
        measurement = outcome.raw[name][0]
        assert measurement["units"] == 20_000
        assert measurement["timeline"][-1][1] == 20_000
    assert outcome.case("tracker")["cpu_us_contender"].median.value > 0
    assert outcome.case("tracker")["wal_bytes"].median.value > 0
    assert outcome.raw["tracker"][0]["stage_seconds"]["decode"] > 0


@pytest.mark.soak
@pytest.mark.parametrize("name", ["proxied", "one-job", "nested", "events", "job-each"])
def test_every_throughput_scenario_comes_out_right(name: str, run: Run) -> None:
    outcome = run(name, 3_000, quick=False)

    assert all(case["rate"].median.value > 0 for case in outcome.cases)


@pytest.mark.soak
def test_messages_flow_at_a_rate_and_are_timed(run: Run) -> None:
    outcome = run("latency")

    assert [case.name for case in outcome.cases] == [
        f"{contender}, {rate}/s" for rate in ("1,000", "10,000") for contender in ("ceiling", "tracker")
    ]
    for case in outcome.cases:
        assert 0 < case["p50_ms"].median.value <= case["p99_ms"].median.value <= case["max_ms"].median.value


@pytest.mark.soak
def test_jobs_are_released_along_every_graph(run: Run) -> None:
    outcome = run("release", quick=False)

    assert [case.name for case in outcome.cases] == [
        "dependents of one",
        "chain",
        "lattice",
        "prerequisites of one",
    ]
    assert all(case["p50_ms"].median.value > 0 for case in outcome.cases)
    assert outcome.case("chain")["rate"].median.value > 0
    assert outcome.case("prerequisites of one").get("rate") is None  # of a single release


@pytest.mark.soak
def test_jobs_are_cancelled_under_load(run: Run) -> None:
    outcome = run("cancel", quick=False)

    assert outcome.case("under load")["cancel_ms"].median.value > 0
    assert outcome.case("dropped")["cpu_factor"].median.value > 0


@pytest.mark.soak
@pytest.mark.parametrize("name", ["scale", "tuning"])
def test_settings_and_sizes_are_compared(name: str, run: Run) -> None:
    outcome = run(name)

    assert len(outcome.cases) > 1
    assert all(case["rate"].median.value > 0 for case in outcome.cases)


@pytest.mark.soak
@pytest.mark.timeout(300)  # the first time, peers are installed and built
def test_every_peer_forwards_each_message_once(run: Run) -> None:
    outcome = run("peers", 4_000)

    assert [case.name for case in outcome.cases] == [
        "ceiling",
        "tracker",
        "Kafka Streams",
        "Quix Streams",
        "aiokafka",
    ]
    for case in outcome.cases[1:]:
        assert case["ratio"].median.value > 0
        assert case["cpu_us_contender"].median.value > 0


@pytest.mark.soak
def test_old_jobs_are_removed_while_messages_flow(run: Run) -> None:
    outcome = run("retention")

    assert outcome.case("old jobs stay")["removed_rate"].median.value == 0
    assert outcome.case("old jobs are removed")["removed_rate"].median.value > 0


def test_lists_and_counts_are_timed(run: Run) -> None:
    outcome = run("lists")

    assert len(outcome.cases) > 15
    assert all(case["ms"].median.value > 0 for case in outcome.cases)


@pytest.mark.soak
def test_all_that_match_are_changed_while_messages_flow(run: Run) -> None:
    outcome = run("bulk")

    assert outcome.case("changes beside")["p99_ms"].median.value > 0
    assert outcome.case("cancel all")["rate"].median.value > 0


def test_each_migration_is_timed(run: Run) -> None:
    outcome = run("migrate")

    assert outcome.case("all of them")["seconds"].median.value > 0
    assert len(outcome.cases) > 10


@pytest.mark.soak
def test_a_mixed_load_continues_and_nothing_is_lost(run: Run) -> None:
    outcome = run("soak")

    assert outcome.cases[0]["capacity"].median.value > 0
    assert outcome.raw["samples"]


def test_the_ceiling_is_compared_with_settings_that_differ_in_one_thing() -> None:
    for best in (SEVERAL_PARTITIONS, ONE_PARTITION):
        found = variations(best)
        assert found.pop("its own") == best
        assert len(found) > 20
        for settings in found.values():
            assert sum(getattr(settings, name) != getattr(best, name) for name in vars(best)) == 1


@pytest.mark.soak
def test_the_ceiling_moves_every_message_with_all_settings(run: Run) -> None:
    outcome = run("ceiling", 3_000, quick=False)

    assert all(case["rate"].median.value > 0 for case in outcome.cases)


@pytest.mark.soak
def test_batches_are_decoded_and_applied_without_kafka(run: Run) -> None:
    outcome = run("apply", 20_000, quick=False)

    for case in outcome.cases:
        assert case["decode_us"].median.value > 0
        assert case["apply_us"].median.value > 0
