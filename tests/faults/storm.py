"""The storm: rounds of jobs under faults drawn by chance, then calm, then all invariants.

    python -m tests.faults.storm --minutes 30
    python -m tests.faults.storm --seed 1234 --rounds 1

prints a line a round with its seed. The same seed makes the same jobs, messages and faults, in the same
order; not the same timing, so that a failure may take a few tries to come again.
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
from tests.faults.losses import losses
from tests.faults.round import Round, Wrong
from tests.faults.site import Site, site
from tests.faults.weather import Weather
from tests.profile import GROUP_PROTOCOL, PROTOCOL_VARIABLE

MESSAGES = 100_000
ROUND_LIMIT_S = 900.0
BREAK_UP_S = 60.0  # nothing may stand still for so long once it is calm
EXAMINED_S = 10.0  # a round that went wrong is given so long to come to rest


@dataclass
class Summary:
    """What a round was."""

    seed: int
    messages: int
    seconds: float
    drained_s: float
    faults: Counter[str]


def play_round(
    where: Site,
    folder: Path,
    seed: int,
    *,
    messages: int = MESSAGES,
    limit_s: float = ROUND_LIMIT_S,
    break_up_s: float = BREAK_UP_S,
    bug: str = "",
    names: tuple[str, ...] = (),
    kafka_partitions: int = 0,
    protocol: str = GROUP_PROTOCOL,
) -> Summary:
    """Play one round: a storm until so many messages were sent, or for so long; calm; check.

    `names`: of the faults, if not all; `kafka_partitions`: how many, if not as the seed says.

    :raises Wrong: something is wrong; what is lost was looked for.
    """
    began = time.monotonic()
    draw = random.Random(seed)
    drawn_partitions = draw.choice([1, 3, 6])
    a_round = Round(
        where,
        folder,
        seed,
        kafka_partitions=kafka_partitions or drawn_partitions,
        propagate=draw.random() < 0.3,
        bug=bug,
        TRACKER_BATCH_SIZE=draw.choice(["20", "200", "2000"]),
        pooler=draw.random() < 0.3,
        **{PROTOCOL_VARIABLE: protocol},
    )
    weather = Weather(a_round, seed)
    try:
        try:
            weather.begin()
            with a_round.playing(messages, timeout_s=1.0):
                ends = began + limit_s
                weather.storm(
                    lambda: a_round.is_played or bool(a_round.problems) or time.monotonic() > ends,
                    names=names,
                )
                a_round.enough.set()
                weather.calm(break_up_s)
            drained_s = a_round.drain(BREAK_UP_S)
        except AssertionError as error:
            raise examined(a_round, weather, error) from error
        check(a_round)
        a_round.stop()
    finally:
        weather.restore()
        a_round.close()
        where.drop_database(a_round.deployment.database_url)
    return Summary(seed, a_round.sent, time.monotonic() - began, drained_s, weather.counts)


def examined(a_round: Round, weather: Weather, error: AssertionError) -> Wrong:
    """Add to what went wrong what a look at the round shows: what is lost and, if it comes to rest, all."""
    found = list(error.problems if isinstance(error, Wrong) else [str(error)])
    try:
        weather.restore()
        weather.tend()
        a_round.settle()
        found += losses(a_round)
        a_round.drain(EXAMINED_S)
        found += problems_at_rest(a_round)
    except Exception as why:  # noqa: BLE001 - what is known already counts more
        found.append(f"it cannot be looked at any further: {type(why).__name__}: {why}")
    return a_round.wrong("in the end", dict.fromkeys([*found, *a_round.problems]))


def main() -> int:
    parser = argparse.ArgumentParser(description="Rounds of jobs under faults; see the head of this module.")
    parser.add_argument("--minutes", type=float, default=0.0, help="play rounds for so long")
    parser.add_argument("--rounds", type=int, default=1, help="or so many rounds")
    parser.add_argument("--seed", type=int, default=None, help="of the first round; the next ones count up")
    parser.add_argument("--messages", type=int, default=MESSAGES, help="of a round")
    parser.add_argument("--seconds", type=float, default=ROUND_LIMIT_S, help="a round lasts, at most")
    parser.add_argument("--brokers", type=int, default=1, help="1, or 3 with 3 replicas")
    parser.add_argument("--protocol", help="of the group: classic or consumer, not one after the other")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # it is no news here that PostgreSQL is away
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # nor that a peer of a proxy has gone
    ends = time.monotonic() + options.minutes * 60
    total: Counter[str] = Counter()
    played = messages = 0
    with site(options.brokers) as where:
        while played < options.rounds or time.monotonic() < ends:
            print(f"round {played + 1}, seed {seed}: ", end="", flush=True)
            folder = Path(tempfile.mkdtemp(prefix="tracker-storm-"))
            try:
                summary = play_round(
                    where,
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
