"""Whether Kafka's offsets and the database belong together, for workers, the scheduler and `tracker adopt`.

The tracker puts the database's ID into the metadata of every offset that it commits, and Kafka keeps the
metadata with the offset. So an offset with another database's ID was committed with that database, and an
offset with no ID was set by a person's tool. All below the tracker's own offsets is published: one beyond
what the database has applied shows that the database is an earlier copy.
"""

from typing import NamedTuple

REMEDY = (
    "stop every 'tracker run' of the group, and see what 'tracker adopt database --dry-run' and"
    " 'tracker adopt kafka --dry-run' would do"
)


class Known(NamedTuple):
    """What the database knows of a Kafka partition: all below `applied` is applied, the same for `published`.

    For the scheduler's send numbers: the last assigned number, and the number up to which all are known to be
    sent.
    """

    applied: int
    published: int
    topic_id: str = ""  # '': not known


def is_recreated(topic_id: str, known: Known | None) -> bool:
    """Return whether a topic is another one than the database knows by its name."""
    return bool(topic_id and known and known.topic_id and topic_id != known.topic_id)


def disagreement(
    committed: int | None, metadata: str, known: Known | None, database_id: str, first: int = 0
) -> str:
    """Return a sentence that says why an offset and the database do not belong together; empty: they do.

    `first`: where reading begins if no offset is committed.
    """
    if committed is None:
        return _without_offset(known, first)
    if metadata and metadata != database_id:
        return f"its offset {committed} is another database's ({metadata[:100]!r}, not {database_id!r})"
    by_hand = "the offset was set by hand"
    problem = ""
    if known is None:
        problem = f"its offset is {committed}, but the database knows nothing about it: " + (
            "it is an earlier copy" if metadata else by_hand
        )
    elif committed > known.applied:
        problem = f"its offset {committed} is ahead of what the database has applied ({known.applied}): " + (
            "the database is an earlier copy" if metadata else by_hand
        )
    elif committed < known.published:
        problem = f"its offset {committed} is behind what is known to be published ({known.published}): " + (
            "Kafka has lost what was committed since" if metadata else by_hand
        )
    elif not metadata and not committed == known.applied == known.published:
        problem = (
            f"its offset {committed} was set by hand, and of what is applied, {known.published} to"
            f" {known.applied - 1} may not be published"
        )
    return problem


def sent_number_disagreement(number: int | None, metadata: str, known: Known, database_id: str) -> str:
    """Return a sentence that says why the last sent number and the database do not belong together."""
    if number is not None:
        return disagreement(number, metadata, known, database_id)
    if known.applied == known.published:
        return ""
    return (
        "its offset, which says what was sent, is gone, and numbers"
        f" {known.published + 1} to {known.applied} may or may not have been sent"
    )


def _without_offset(known: Known | None, first: int) -> str:
    if known is None or known.published <= first <= known.applied:
        return ""
    if first > known.applied:
        return (
            f"its offset is gone, and what comes after {known.applied}, up to which the database has applied"
            f" it, is gone as well: the topic begins at {first}"
        )
    return f"its offset is gone, and the database has applied it up to {known.applied}"
