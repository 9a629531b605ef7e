"""On which Kafka partition of a topic a producer has put a key: producers hash it in two ways."""

import zlib

_MASK = 0xFFFF_FFFF
_FACTOR = 0x5BD1_E995
_SEED = 0x9747_B28C


def candidates(key: bytes, kafka_partitions: int) -> set[int]:
    """Return the Kafka partitions on which records with this key can be.

    librdkafka's default is CRC-32 (`consistent_random`). Java's is murmur2, as is the tracker's own, so that
    its records land where Java's producers put them.
    """
    return {zlib.crc32(key) % kafka_partitions, (murmur2(key) & 0x7FFF_FFFF) % kafka_partitions}


def murmur2(key: bytes) -> int:
    """Return the hash that Kafka's Java client uses (`org.apache.kafka.common.utils.Utils.murmur2`)."""
    value = _SEED ^ len(key)
    whole = len(key) & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(key[start : start + 4], "little") * _FACTOR & _MASK
        word = (word ^ word >> 24) * _FACTOR & _MASK
        value = value * _FACTOR & _MASK ^ word
    if rest := key[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * _FACTOR & _MASK
    value = (value ^ value >> 13) * _FACTOR & _MASK
    return value ^ value >> 15
