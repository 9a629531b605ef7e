"""Brokers that answer with the errors that a test wants: librdkafka's own mock, reached by ctypes."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import confluent_kafka

PRODUCE = 0  # Kafka's number of the request
_PRODUCER = 0  # rd_kafka_type_t


class MockCluster:
    """One mocked broker. What it is asked for exists."""

    def __init__(self, library: Any, cluster: int) -> None:
        self._library = library
        self._cluster = cluster
        self.bootstrap_servers = library.rd_kafka_mock_cluster_bootstraps(cluster).decode()

    def create(self, topic: str) -> None:
        """Make a topic with one Kafka partition."""
        assert self._library.rd_kafka_mock_topic_create(self._cluster, topic.encode(), 1, 1) == 0

    def answer_produce_with(self, code: int, times: int) -> None:
        """Have it answer the next requests to produce with an error."""
        codes = (ctypes.c_int * times)(*[code] * times)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, PRODUCE, times, codes)

    def answer_well(self) -> None:
        """Have it answer well again."""
        self._library.rd_kafka_mock_clear_request_errors(self._cluster, PRODUCE)


@contextmanager
def mock_cluster() -> Iterator[MockCluster]:
    """Run a mocked broker, in this process."""
    library = _library()
    handle = library.rd_kafka_new(_PRODUCER, None, None, 0)
    cluster = library.rd_kafka_mock_cluster_new(handle, 1)
    try:
        yield MockCluster(library, cluster)
    finally:
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(handle)


def _library() -> Any:
    """Load the librdkafka that confluent_kafka brings along."""
    [file] = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka*.so*")
    library = ctypes.CDLL(str(file))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, result, arguments in (
        ("new", pointer, (number, pointer, pointer, ctypes.c_size_t)),
        ("destroy", None, (pointer,)),
        ("mock_cluster_new", pointer, (pointer, number)),
        ("mock_cluster_destroy", None, (pointer,)),
        ("mock_cluster_bootstraps", text, (pointer,)),
        ("mock_topic_create", number, (pointer, text, number, number)),
        ("mock_push_request_errors_array", None, (pointer, ctypes.c_int16, ctypes.c_size_t, pointer)),
        ("mock_clear_request_errors", None, (pointer, ctypes.c_int16)),
    ):
        function = getattr(library, f"rd_kafka_{name}")
        function.restype, function.argtypes = result, arguments
    return library
