"""Up to which offset the records of a Kafka partition are applied to the database."""

from dataclasses import dataclass, field


@dataclass
class AppliedOffsets:
    """Up to where a Kafka partition is applied (`next_offset`) and known to be published.

    Of the records from `published_offset` on, `withheld` are the offsets of those that were dropped or held.
    `refused` maps the offsets of those that became dead letters, for a reason outside themselves, to (reason,
    detail). `record_time_ms` is the time of the last record that this batch applies; -1: not known.
    """

    next_offset: int
    published_offset: int
    topic_id: str = ""  # '': unknown
    withheld: set[int] = field(default_factory=set)
    refused: dict[int, tuple[str, str]] = field(default_factory=dict)
    record_time_ms: int = -1

    def publish_up_to(self, offset: int) -> None:
        """Advance `published_offset`, and drop what is kept of the records before it."""
        if offset > self.published_offset:
            self.published_offset = min(offset, self.next_offset)
            self.withheld = {kept for kept in self.withheld if kept >= offset}
            self.refused = {kept: refusal for kept, refusal in self.refused.items() if kept >= offset}


def offsets_to_bits(offsets: set[int], base: int) -> bytes:
    """Return a bitmap of offsets, the first bit of which stands for `base`."""
    if not offsets:
        return b""
    bits = bytearray((max(offsets) - base) // 8 + 1)
    for offset in offsets:
        position = offset - base
        bits[position >> 3] |= 1 << (position & 7)
    return bytes(bits)


def bits_to_offsets(bits: bytes, base: int) -> set[int]:
    """Return the offsets in a bitmap, the first bit of which stands for `base`."""
    return {
        base + 8 * position + bit
        for position, byte in enumerate(bits)
        if byte
        for bit in range(8)
        if byte >> bit & 1
    }
