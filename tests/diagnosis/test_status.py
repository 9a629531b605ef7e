"""What is made of what several workers do."""

from tracker.diagnosis.status import NOT_ASKED, Problem, Status
from tracker.store.status_store import WorkerRow


def worker(slot: int, ready: bool, records_per_second: float, **stage_seconds: float) -> WorkerRow:
    return WorkerRow(
        f"tracker-host-{slot}", "host", slot, "0.2.0", ready, "", 1.0, records_per_second, stage_seconds, []
    )


def test_workers_are_counted_and_what_they_do_is_added_up() -> None:
    workers = [
        worker(0, True, 10.0, load=0.4, write=0.3),
        worker(1, False, 2.5, write=0.3),
        worker(2, True, 0.0),
    ]
    found = Status(7, workers=workers).as_json()
    assert (found["members"], found["workersReady"]) == (3, 2)
    assert (found["recordsPerSecond"], found["slowestStage"]) == (12.5, "write")
    idle = Status(7, workers=[worker(0, True, 0.0, load=0.0)]).as_json()
    assert (idle["recordsPerSecond"], idle["slowestStage"]) == (0, None)


def test_what_could_not_be_asked_is_null_and_no_reason_to_call_a_person() -> None:
    status = Status(7, [Problem(NOT_ASKED, "Kafka could not be asked.")])
    found = status.as_json()
    assert found.pop("problems") == [
        {"code": "not-asked", "text": "Kafka could not be asked.", "command": None}
    ]
    assert (found.pop("ok"), found.pop("kafkaPartitions"), found.pop("asOf")) == (True, [], 7)
    assert set(found.values()) == {None}
    status.problems.append(Problem("no-members", "No worker runs."))
    assert not status.ok
