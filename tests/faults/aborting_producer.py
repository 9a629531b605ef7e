"""Another producer to the tracking topic. It aborts all its transactions: nobody may act on its records."""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from confluent_kafka import KafkaException, Producer

from tests.support.deployment import Topics
from tests.support.messages import key_of, task_message

FIRST_ABORTED = 1_000_000_000
"""Aborted records have numbers from here on."""

_TRANSACTION_TIMEOUT_MS = 3_000
_SILENT = logging.getLogger("aborting producer")
_SILENT.setLevel(logging.CRITICAL)  # a broker that is away is no news here


class AbortingProducer:
    """Writes records on a thread that would complete jobs which are in progress, and aborts them.

    `jobs` returns the names of the jobs in progress.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Topics,
        number_header: str,
        seed: int,
        jobs: Callable[[], Sequence[str]],
    ) -> None:
        self.aborted = 0  # records
        self._properties = {
            "bootstrap.servers": bootstrap_servers,
            "transactional.id": f"{topics.tracking}-aborting",
            "transaction.timeout.ms": _TRANSACTION_TIMEOUT_MS,
            "reconnect.backoff.max.ms": 500,
            "linger.ms": 0,
        }
        self._topics, self._number_header, self._jobs = topics, number_header, jobs
        self._random = random.Random(f"{seed}/ghosts")  # another text would change what a seed draws
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="aborting producer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and leave no transaction open."""
        self._closing.set()
        self._thread.join(30)

    def end_with_aborted(self, kafka_partitions: Sequence[tuple[str, int]]) -> None:
        """Write an aborted transaction to the end of each Kafka partition. Call it after `close`."""
        producer = Producer(self._properties, logger=_SILENT)
        producer.init_transactions(30)
        producer.begin_transaction()
        for topic, kafka_partition in kafka_partitions:
            value = task_message("acme:nobody.1", to=self._topics.results)
            number = str(FIRST_ABORTED + self.aborted).encode()
            producer.produce(topic, value, None, kafka_partition, headers=[(self._number_header, number)])
            self.aborted += 1
        assert producer.flush(30) == 0
        producer.abort_transaction(30)

    def _run(self) -> None:
        while not self._closing.is_set():
            with suppress(KafkaException):  # a broker is away
                producer = Producer(self._properties, logger=_SILENT)
                producer.init_transactions(5)
                while not self._closing.wait(self._random.uniform(0.1, 0.6)):
                    self._abort_some(producer)
                return

    def _abort_some(self, producer: Producer) -> None:
        """Write a few records, wait until brokers have stored them, and abort them."""
        names = self._jobs()
        producer.begin_transaction()
        for name in self._random.sample(names, min(len(names), self._random.choice([1, 1, 5]))):
            number = str(FIRST_ABORTED + self.aborted).encode()
            producer.produce(
                self._topics.tracking,
                task_message(name, to=self._topics.results, track_to=self._topics.results),
                key_of(name),
                headers=[(self._number_header, number)],
            )
            self.aborted += 1
        producer.flush(2)
        self._closing.wait(self._random.choice([0.0, 0.0, 0.05, 0.5]))
        producer.abort_transaction(5)
