"""`peers`: other software beside the tracker, on the messages of `complete`, with the same ceiling."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.drain import Measurement, drain
from bench.errors import BenchError
from bench.outcome import Case, Outcome, size_text
from bench.peers.environment import PeerMissing, Say, kafka_streams_command, python_command, versions
from bench.peers.running import PeerProgram
from bench.scenarios.complete import COMPLETE
from bench.scenarios.throughput import (
    CEILING,
    cost_metrics,
    disturbances,
    drain_ceiling,
    drain_tracker,
    ratio_metrics,
)
from bench.session import WARM_UP_MESSAGES, BenchSession, Options
from bench.verify import verify_messages
from bench.workload import Size

_TRACKER = replace(COMPLETE, goal=None, goal_cpu=None)  # `complete` judges it
_JAVA_WARM_UP_MESSAGES = 200_000


@dataclass(frozen=True)
class Peer:
    """A peer. `command` sets it up, and returns what runs it. Java compiles what has run often enough."""

    name: str
    command: Callable[[Say], Sequence[str | Path]]
    threaded: bool = False
    warm_up_messages: int = WARM_UP_MESSAGES


PEERS = (
    Peer("Kafka Streams", kafka_streams_command, threaded=True, warm_up_messages=_JAVA_WARM_UP_MESSAGES),
    Peer("Quix Streams", lambda say: python_command("bench.peers.quix_streams_process", say)),
    Peer("aiokafka", lambda say: python_command("bench.peers.aiokafka_process", say)),
)


class Peers:
    name = "peers"
    description = "other software that decodes, counts and forwards the messages of complete, exactly once"
    quick = usual = False

    def steps(self, options: Options) -> int:
        return options.rounds * (2 + len(PEERS))

    def run(self, session: BenchSession) -> Outcome:
        options = session.options
        if not session.servers.started_here:
            raise BenchError(
                "peers are measured only on a Kafka that is started for the run, without --against"
            )
        programs, missing = set_up(PEERS, session.progress.say)
        size = Size(options.messages, options.seed)
        measures: dict[str, Callable[[], Measurement]] = {
            CEILING: lambda: drain_ceiling(session, COMPLETE, size),
            "tracker": lambda: drain_tracker(session, COMPLETE, size),
        }
        for peer in PEERS:
            if peer.name in programs:
                measures[peer.name] = _measure(session, peer, programs[peer.name], size)
        found: dict[str, list[Measurement]] = {name: [] for name in measures}
        for name in session.turns(self.name, list(measures)):
            found[name].append(measures[name]())
        return Outcome(
            size=size_text(found[CEILING][0].units, "messages", options.workers, options.rounds),
            cases=[_case(name, rounds, found[CEILING]) for name, rounds in found.items()],
            notes=[*missing, *_versions(programs), *disturbances(found)],
            raw={name: [asdict(each) for each in rounds] for name, rounds in found.items()},
        )


SCENARIO = Peers()


def set_up(peers: Sequence[Peer], say: Say) -> tuple[dict[str, PeerProgram], list[str]]:
    """Set the peers up; return their programs by name, and a sentence for each that cannot be set up here."""
    programs, missing = {}, []
    for peer in peers:
        try:
            programs[peer.name] = PeerProgram(peer.name, peer.command(say), peer.threaded)
        except PeerMissing as error:
            missing.append(f"Not measured: {peer.name}. {str(error).rstrip('.')}.")
    return programs, missing


def _measure(
    session: BenchSession, peer: Peer, program: PeerProgram, size: Size
) -> Callable[[], Measurement]:
    def measure() -> Measurement:
        topics = session.topics()
        workload = COMPLETE.workload(topics, size)
        messages = min(peer.warm_up_messages, max(WARM_UP_MESSAGES, size.messages))
        warm_up = COMPLETE.workload(topics, Size(messages, size.seed, "warm"))
        with session.peer(topics, program) as contender:
            measurement, first = drain(session.servers, contender, warm_up, workload)
            clients = session.servers.clients
            verify_messages(clients, topics.destination, first, workload.size, workload.sent)
        return measurement

    return measure


def _case(name: str, rounds: Sequence[Measurement], ceiling: Sequence[Measurement]) -> Case:
    ratios = (
        [] if name == CEILING else ratio_metrics(list(ceiling), list(rounds), replace(_TRACKER, name=name))
    )
    return Case(name, [*ratios, *cost_metrics(rounds, "messages")])


def _versions(programs: Mapping[str, PeerProgram]) -> list[str]:
    known = [f"{name} {version}" for name, version in versions().items() if name in programs]
    return [f"Peers: {', '.join(known)}."] if known else []
