"""The librdkafka properties that users cannot set, or not to every value, each with the reason."""

import re
from collections.abc import Mapping
from types import MappingProxyType

_OFFSETS = "offsets are committed only together with the batch that they belong to"
_LEGACY_STORE = "offsets are kept in Kafka only"
_IDEMPOTENCE = "without the idempotent producer's own choice, a retry could repeat, lose or reorder messages"
_FOREIGN_CODE = "it loads foreign code into the process that holds the credentials"

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "enable.auto.commit": _OFFSETS,
        "auto.commit.enable": _OFFSETS,
        "auto.commit.interval.ms": _OFFSETS,
        "enable.auto.offset.store": _OFFSETS,
        "offset.store.method": _LEGACY_STORE,
        "offset.store.path": _LEGACY_STORE,
        "offset.store.sync.interval.ms": _LEGACY_STORE,
        "auto.offset.reset": "a new group starts at the earliest record, and one with progress never jumps",
        "isolation.level": "only committed records are read; otherwise aborted ones would be reported",
        "enable.partition.eof": "the end of a Kafka partition means nothing to a batch",
        "consume.callback.max.messages": "records are read in batches, which TRACKER_BATCH_SIZE limits",
        "group.id": "it is TRACKER_GROUP_ID",
        "group.instance.id": "it is made of TRACKER_GROUP_ID, TRACKER_INSTANCE and the worker's slot",
        "transactional.id": "it is made of TRACKER_GROUP_ID, TRACKER_INSTANCE and the worker's slot",
        "group.protocol.type": "brokers would not treat the group as a group of consumers",
        "partition.assignment.strategy": "all members of a group must agree on it, and rebalance in steps",
        "enable.idempotence": _IDEMPOTENCE,
        "acks": "a message that is not on all in-sync replicas could be lost with its broker",
        "retries": _IDEMPOTENCE,
        "max.in.flight": _IDEMPOTENCE,
        "queuing.strategy": "messages must leave in the order in which they came",
        "enable.gapless.guarantee": "it makes errors fatal from which a transaction recovers",
        "delivery.report.only.error": "the tracker decides which deliveries are reported to it",
        "allow.auto.create.topics": "a wrong destination becomes a dead letter, never a new topic",
        "topic.blacklist": "messages to a hidden topic would become dead letters",
        "plugin.library.paths": _FOREIGN_CODE,
        "ssl.engine.location": _FOREIGN_CODE,
        "ssl.engine.id": _FOREIGN_CODE,
        "sasl.kerberos.kinit.cmd": "it is a shell command that the process would run",
        "enabled_events": "the client library and the program agree on it",
        "log.queue": "log lines would accumulate in memory",
        "internal.termination.signal": "signals belong to the supervisor",
    }
)

# A shell command renews tickets. librdkafka puts these three into it without quoting.
_SHELL_SAFE = (
    re.compile(r"[A-Za-z0-9._/@:+-]+"),
    "made of the characters a-z A-Z 0-9 . _ / @ : + -",
    "it becomes part of a shell command",
)

RESTRICTED: Mapping[str, tuple[re.Pattern[str], str, str]] = MappingProxyType(
    {
        "partitioner": (
            re.compile("consistent|consistent_random|murmur2|murmur2_random|fnv1a|fnv1a_random"),
            "consistent, consistent_random, murmur2, murmur2_random, fnv1a or fnv1a_random",
            "a job's messages keep their order only if a key always selects the same Kafka partition",
        ),
        "sasl.kerberos.keytab": _SHELL_SAFE,
        "sasl.kerberos.principal": _SHELL_SAFE,
        "sasl.kerberos.service.name": _SHELL_SAFE,
    }
)
