"""What the settings make of a supervisor."""

import pickle
import subprocess
import sys

from tracker.settings import load
from tracker.supervisor.run import children

ENVIRON = {
    "TRACKER_KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
    "TRACKER_DATABASE_URL": "postgresql://bob:secret@localhost/tracker",
}


def test_there_is_a_worker_for_each_slot_and_one_scheduler() -> None:
    settings = load(ENVIRON)
    workers = children(settings, (0, 3))
    assert [(child.name, child.is_worker) for child in workers] == [
        ("worker-0", True),
        ("worker-3", True),
        ("scheduler", False),
    ]
    assert workers[1].args == (settings, 3)


def test_what_children_are_given_goes_through_a_pipe() -> None:
    specs = children(load(ENVIRON), (0,))
    assert pickle.loads(pickle.dumps(specs)) == specs


def test_without_settings_it_says_what_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tracker", "run"], env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "TRACKER_DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr
