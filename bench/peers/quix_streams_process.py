"""A process of Quix Streams: it decodes and counts messages, and forwards them, exactly once.

Quix Streams commits at checkpoints. The counts are in its state: by default, RocksDB with a changelog topic.
"""

from typing import Any

import orjson

from bench.peers.process import PeerSettings, job_of, read_settings, say_ready

_COMMIT_INTERVAL_S = 1.0


def application(settings: PeerSettings) -> Any:
    """Return the application, which forwards messages when it runs."""
    from quixstreams import Application  # warns of a library of its own, which is captured by now

    app = Application(
        broker_address=settings.bootstrap_servers,
        consumer_group=settings.group_id,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        # By default it commits every 5 s alone, and the last messages of a backlog would wait for that.
        commit_interval=_COMMIT_INTERVAL_S,
        commit_every=settings.batch_size,
        # By default 5, with which a message takes a little more CPU time, most of it the broker's.
        producer_extra_config={"linger.ms": 100},
        state_dir=settings.state_directory,
        loglevel="CRITICAL",
    )
    # As bytes, because its own JSON format would also encode the message again.
    source = app.topic(settings.topic, value_deserializer="bytes")
    destination = app.topic(settings.destination, key_serializer="bytes", value_serializer="bytes")
    app.dataframe(source).update(_count, stateful=True).to_topic(destination)
    return app


def _count(value: bytes, state: Any) -> None:
    job = job_of(orjson.loads(value))
    state.set(job, state.get(job, 0) + 1)


if __name__ == "__main__":
    running = application(read_settings())
    say_ready()
    running.run()
