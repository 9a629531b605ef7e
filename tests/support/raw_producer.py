"""Produces what no Python client can: headers whose names are any bytes."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import confluent_kafka

_TOPIC, _VALUE, _FLAGS, _HEADERS, _END = 1, 4, 7, 10, 0  # rd_kafka_vtype_t
_COPY = 2  # RD_KAFKA_MSG_F_COPY


def send_raw(
    bootstrap_servers: str, topic: str, value: bytes, headers: Sequence[tuple[bytes, bytes]]
) -> None:
    """Send one record with librdkafka's own functions, and return once it is stored."""
    library = _library()
    reason = ctypes.create_string_buffer(512)
    properties = ctypes.c_void_p(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(properties, b"bootstrap.servers", bootstrap_servers.encode(), reason, 512)
    producer = ctypes.c_void_p(library.rd_kafka_new(0, properties, reason, 512))
    assert producer.value, reason.value
    made = ctypes.c_void_p(library.rd_kafka_headers_new(len(headers)))
    for name, text in headers:
        assert library.rd_kafka_header_add(made, name, len(name), text, len(text)) == 0
    buffer = ctypes.create_string_buffer(value, len(value))
    payload = ctypes.cast(buffer, ctypes.c_void_p), ctypes.c_size_t(len(value))
    arguments = _TOPIC, topic.encode(), _VALUE, *payload, _FLAGS, _COPY, _HEADERS, made, _END
    assert library.rd_kafka_producev(producer, *arguments) == 0
    assert library.rd_kafka_flush(producer, 30_000) == 0
    library.rd_kafka_destroy(producer)


def _library() -> ctypes.CDLL:
    """Return the librdkafka that the Python client has loaded."""
    beside = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    [path] = beside.glob("librdkafka*")
    library = ctypes.CDLL(str(path))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_headers_new"):
        getattr(library, name).restype = ctypes.c_void_p
    return library
