"""Chaos runs: rounds of jobs under random faults. At the end of each, it heals and checks all invariants.

    python -m tests.faults.chaos --minutes 30
    python -m tests.faults.chaos --seed 1234 --rounds 1

prints one line for each round, with its seed. The same seed makes the same jobs, messages and faults in the
same order, but not the same timing: it may take a few tries to reproduce a failure.
"""

import argparse
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.faults.checker import check, problems_at_rest
from tests.faults.cluster import Cluster, start_cluster
from tests.faults.fault_injector import FaultInjector
from tests.faults.losses import losses
from tests.faults.round import Round, RoundFailed
from tests.support.profile import GROUP_PROTOCOL, PROTOCOL_VARIABLE

MESSAGES = 100_000
ROUND_LIMIT_S = 900.0
STALL_LIMIT_S = 60.0  # after the faults, nothing may stall for this long
EXAMINE_S = 10.0  # for a failed round to come to rest


@dataclass
class Summary:
    """The figures of a round."""

    seed: int
    messages: int
    seconds: float
    drained_s: float
    faults: Counter[str]


def play_round(
    cluster: Cluster,
    folder: Path,
    seed: int,
    *,
    messages: int = MESSAGES,
    limit_s: float = ROUND_LIMIT_S,
    stall_limit_s: float = STALL_LIMIT_S,
    bug: str = "",
    names: tuple[str, ...] = (),
    kafka_partitions: int = 0,
    protocol: str = GROUP_PROTOCOL,
    propagate: bool | None = None,
) -> Summary:
    """Play one round: inject faults until the messages are sent or the time is up; then heal and check.

    `names`: the faults to draw from, if not all. `kafka_partitions`: how many, if the seed shall not decide;
    `propagate`: whether failures propagate, likewise.

    :raises RoundFailed: there is a problem. Its text says what is lost.
    """
    began = time.monotonic()
    draw = random.Random(seed)
    drawn_partitions = draw.choice([1, 3, 6])
    drawn_propagate = draw.random() < 0.3
    a_round = Round(
        cluster,
        folder,
        seed,
        kafka_partitions=kafka_partitions or drawn_partitions,
        propagate=drawn_propagate if propagate is None else propagate,
        bug=bug,
        TRACKER_BATCH_SIZE=draw.choice(["20", "200", "2000"]),
        pooler=draw.random() < 0.3,
        **{PROTOCOL_VARIABLE: protocol},
    )
    injector = FaultInjector(a_round, seed)
    try:
        try:
            injector.start_members()
            with a_round.playing(messages, timeout_s=1.0):
                ends = began + limit_s
                injector.run_chaos(
                    lambda: a_round.is_played or bool(a_round.problems) or time.monotonic() > ends,
                    names=names,
                )
                a_round.stop_submitting.set()
                injector.heal(stall_limit_s)
            drained_s = a_round.drain(STALL_LIMIT_S)
        except AssertionError as error:
            raise examine(a_round, injector, error) from error
        check(a_round)
        a_round.stop()
    finally:
        injector.restore()
        a_round.close()
        cluster.drop_database(a_round.deployment.database_url)
    return Summary(seed, a_round.sent, time.monotonic() - began, drained_s, injector.counts)


def examine(a_round: Round, injector: FaultInjector, error: AssertionError) -> RoundFailed:
    """Return the error with what the round shows now: what is lost and, if it comes to rest, all problems."""
    found = list(error.problems if isinstance(error, RoundFailed) else [str(error)])
    try:
        injector.restore()
        injector.supervise()
        a_round.finish_user_actions()
        found += losses(a_round)
        a_round.drain(EXAMINE_S)
        found += problems_at_rest(a_round)
    except Exception as why:  # noqa: BLE001 - what is known already matters more
        found.append(f"it cannot be examined further: {type(why).__name__}: {why}")
    return a_round.failure("in the end", dict.fromkeys([*found, *a_round.problems]))


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Rounds of jobs under random faults; see the head of this module."
    )
    parser.add_argument("--minutes", type=float, default=0.0, help="play rounds for this long")
    parser.add_argument("--rounds", type=int, default=1, help="or this many rounds")
    parser.add_argument(
        "--seed", type=int, default=None, help="of the first round; each further round adds 1"
    )
    parser.add_argument("--messages", type=int, default=MESSAGES, help="in a round")
    parser.add_argument(
        "--seconds", type=float, default=ROUND_LIMIT_S, help="how long a round lasts, at most"
    )
    parser.add_argument("--brokers", type=int, default=1, help="1, or 3 with 3 replicas")
    parser.add_argument("--protocol", help="of the group: classic or consumer; without it, they alternate")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # a PostgreSQL that is away is no news here
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # nor is a lost connection of a proxy
    ends = time.monotonic() + options.minutes * 60
    total: Counter[str] = Counter()
    played = messages = 0
    with start_cluster(options.brokers) as cluster:
        while played < options.rounds or time.monotonic() < ends:
            print(f"round {played + 1}, seed {seed}: ", end="", flush=True)
            folder = Path(tempfile.mkdtemp(prefix="tracker-chaos-"))
            try:
                summary = play_round(
                    cluster,
                    folder,
                    seed,
                    messages=options.messages,
                    limit_s=options.seconds,
                    protocol=options.protocol or ("classic", "consumer")[seed % 2],
                )
            except BaseException:
                print(f"the logs of all processes are in {folder}", flush=True)
                raise
            shutil.rmtree(folder)
            print(
                f"{summary.messages} messages in {summary.seconds:.0f} s,"
                f" {sum(summary.faults.values())} faults, drained in {summary.drained_s:.1f} s, all is well",
                flush=True,
            )
            total += summary.faults
            played, messages, seed = played + 1, messages + summary.messages, seed + 1
    print(f"{played} rounds, {messages} messages, {sum(total.values())} faults:")
    for name, count in sorted(total.items()):
        print(f"  {count:5d} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
