"""What can go wrong with Kafka in a way that decides what a worker does next."""

from tracker.errors import TrackerError


class OffsetsRefused(TrackerError):
    """The group's committed offsets and the database do not belong together."""


class SlotShared(TrackerError):
    """Another process uses this worker's transactional or member ID."""


class BatchGivenUp(Exception):
    """The batch was not published, and comes again: its Kafka transaction was aborted, or never begun."""
