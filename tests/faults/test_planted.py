"""A chaos run finds each mistake that is planted into the tracker, within a minute, by its effect.

A stalled round proves nothing, because a busy machine can stall too. Each mistake has its own proof, which
the unchanged tracker cannot give, however slow it is. Under the same faults and within the same limits, the
unchanged tracker shows no problem at all.
"""

import random
import re
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults.chaos import Summary, play_round
from tests.faults.cluster import Cluster
from tests.faults.planted import BUGS
from tests.faults.round import RoundFailed

SECONDS = 25.0  # of faults; then the round heals, finishes its jobs, and is checked
STALL_LIMIT_S = 15.0

AT_ONCE = ("workers that wake at once",)
"""Two workers and users change the same jobs."""
DONE_AGAIN = ("a worker killed before its kafka commit",)
"""A batch that the database has is redelivered."""
SENT_AGAIN = ("the scheduler killed after its kafka commit",)
LITTLE = ("a dead letter topic that takes little",)
ZOMBIES = ("a zombie that is slow",)
QUIET = ("no fault",)
"""The mistakes of commands need none."""

LOST = r"record \d+ of .* (is lost: the group is past it|was forwarded 0 times instead of 1)"
NOT_STARTED = r"the start of .* is lost|was started 0 times instead of once"
TWICE = r"record \d+ was read twice"
WITHOUT_DATABASE = "|".join(
    [
        "was replaced by an earlier copy while the worker ran",
        "is ahead of what the database has",
        r"the database at \{",
    ]
)
SET_BACK = r"its offset \d+ is behind what is known to be published"
DROPPED_ONCE = r"record \d+ of .* was forwarded 1 times instead of 0"


class Proof(NamedTuple):
    """The effect of a mistake, as a pattern of the problems it causes, and the faults that provoke it.

    `propagate`: whether failures propagate, if it matters.
    """

    found: str
    faults: tuple[str, ...]
    seconds: float = SECONDS
    propagate: bool | None = None


PROOFS = {
    "reads uncommitted records": Proof(r"a record was forwarded whose transaction was aborted", AT_ONCE),
    "commits offsets before the database": Proof(LOST, DONE_AGAIN),
    "skips what was seen before": Proof(LOST, DONE_AGAIN),
    "takes the end of the log for its position": Proof(LOST, AT_ONCE),
    "passes markers without the database": Proof(WITHOUT_DATABASE, AT_ONCE),
    "takes group metadata too late": Proof(f"{TWICE}|{DROPPED_ONCE}|{SET_BACK}", ZOMBIES),
    "locks jobs in no order": Proof(r"deadlock detected", AT_ONCE, seconds=40.0),
    "clears the outbox before it is published": Proof(NOT_STARTED, DONE_AGAIN),
    "forgets what it decided": Proof(f"{TWICE}|{DROPPED_ONCE}", DONE_AGAIN),
    "sends without a sent number": Proof(r"start .* was read twice", SENT_AGAIN),
    "counts messages of earlier runs": Proof(DROPPED_ONCE, AT_ONCE),
    "limits never grow": Proof(r"its dead letter of \d+ bytes is cut", LITTLE),
    "looks jobs up without locks": Proof(
        r"is (Active|Waiting) instead of Completed|is at \d+ instead of \d+|counts and bits differ", AT_ONCE
    ),
    "retries under the same key": Proof(r"start .* was read twice", QUIET),
    "waits for one prerequisite after a retry": Proof(
        r"was started before its prerequisites had completed", QUIET, propagate=True
    ),
    "cancels one dependent of each": Proof(
        r"is (Waiting|Active|Paused) instead of Cancelled", QUIET, seconds=40.0, propagate=False
    ),
    "changes what no longer matches": Proof(r"is (Active|Paused) instead of (Completed|Failed)", QUIET),
    "replays without noting it": Proof(r"was refused \d+ times, and replayed \d+ times", QUIET),
}


def play(cluster: Cluster, folder: Path, proof: Proof, bug: str = "") -> Summary:
    """Play a round within the limits in which a mistake is found."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"{bug or 'no mistake'}: seed {seed}")
    return play_round(
        cluster,
        folder,
        seed,
        limit_s=proof.seconds,
        stall_limit_s=STALL_LIMIT_S,
        bug=bug,
        names=proof.faults,
        kafka_partitions=3,  # with a single one, two workers never meet
        propagate=proof.propagate,
    )


@pytest.mark.soak
@pytest.mark.timeout(400)
@pytest.mark.parametrize("bug", sorted(BUGS))
def test_a_planted_mistake_is_found(one_broker: Cluster, tmp_path: Path, bug: str) -> None:
    began = time.monotonic()
    with pytest.raises(RoundFailed) as found:
        play(one_broker, tmp_path, PROOFS[bug], bug)
    proofs = [problem for problem in found.value.problems if re.search(PROOFS[bug].found, problem)]
    assert proofs, str(found.value)
    seconds, others = time.monotonic() - began, len(found.value.problems) - len(proofs)
    print(f"{bug}: {seconds:.0f} s, {len(proofs)} proofs and {others} other problems; {proofs[0][:300]}")


@pytest.mark.soak
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "faults", sorted({proof.faults for proof in PROOFS.values()}), ids=lambda names: names[0]
)
def test_without_a_mistake_nothing_is_found(
    one_broker: Cluster, tmp_path: Path, faults: tuple[str, ...]
) -> None:
    assert play(one_broker, tmp_path, Proof("", faults)).messages > 0
