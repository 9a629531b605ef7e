"""The group's protocol, and whether this process is a member, also if librdkafka does not say it."""

from struct import Struct

from tracker.settings import Settings

_GROUP_METADATA = Struct("=7si")  # followed by the IDs of group, member and instance
_MAGIC = b"CGMDv2:"


def is_classic(settings: Settings) -> bool:
    """Return whether the group has Kafka's older protocol, in which members are static."""
    return settings.consumer_properties().get("group.protocol", "classic") != "consumer"


def is_member(group_metadata: bytes) -> bool:
    """Return whether a consumer has joined its group, from what its `consumer_group_metadata` returns.

    librdkafka calls a member back with what it is assigned; with the classic protocol also when that is
    nothing. With the protocol `consumer` librdkafka (2.16) does not call a member that has joined and is
    assigned no Kafka partition. But the coordinator has given that member an epoch, which is above 0 and is
    in the metadata.

    Rejected: to ask the coordinator who is in the group. If it goes away meanwhile, librdkafka may end the
    process (its issue 4605).
    """
    magic, epoch = _GROUP_METADATA.unpack_from(group_metadata)
    return bool(magic == _MAGIC and epoch > 0)
