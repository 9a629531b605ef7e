"""A real Kafka and PostgreSQL on this machine, without containers: for development, tests, bench and demo.

Programs use `LocalStack`; `tracker stack up`, `env` and `down` (see `named`) keep one between commands.
Servers belong to the program that started them, and end with it, however it ends (see `lifetime`), unless the
program disowns them, which only `tracker stack up` does.
"""

from tracker.stack.kafka import KafkaBroker, KafkaCluster
from tracker.stack.local import LocalStack
from tracker.stack.postgres import PostgresServer

__all__ = ["KafkaBroker", "KafkaCluster", "LocalStack", "PostgresServer"]
