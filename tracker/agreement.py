"""Whether Kafka's offsets and the database belong together, for workers, the scheduler and `tracker adopt`.

The tracker puts the database's ID into the metadata of every offset that it commits, and Kafka keeps that
with the offset. So an offset with another database's ID was committed with that one, and an offset with none
was set by a person's tool. Of its own offsets it knows that all below them is published: one beyond what the
database has applied shows that the database was set back.
"""

from typing import NamedTuple

REMEDY = (
    "stop every 'tracker run' of the group, and see what 'tracker adopt database --dry-run' and"
    " 'tracker adopt kafka --dry-run' would do"
)


class Known(NamedTuple):
    """What the database knows of a Kafka partition: all below `applied` is, and all below `published`.

    Of the scheduler's send numbers: the last that was given, and that up to which all are known to be sent.
    """

    applied: int
    published: int
    topic_id: str = ""  # '': not known


def is_recreated(topic_id: str, known: Known | None) -> bool:
    """Tell whether a topic is not the one that the database knows under its name."""
    return bool(topic_id and known and known.topic_id and topic_id != known.topic_id)


def disagreement(
    committed: int | None, metadata: str, known: Known | None, database_id: str, first: int = 0
) -> str:
    """Return in words why an offset and the database do not belong together; nothing where they do.

    `first`: where one begins to read when no offset is committed.
    """
    if committed is None:
        return _without_offset(known, first)
    if metadata and metadata != database_id:
        return f"its offset {committed} is another database's ({metadata[:100]!r}, not {database_id!r})"
    by_hand = "the offset was set by hand"
    wrong = ""
    if known is None:
        wrong = f"its offset is {committed}, but the database knows nothing about it: " + (
            "it is an earlier copy" if metadata else by_hand
        )
    elif committed > known.applied:
        wrong = f"its offset {committed} is ahead of what the database has applied ({known.applied}): " + (
            "the database is an earlier copy" if metadata else by_hand
        )
    elif committed < known.published:
        wrong = f"its offset {committed} is behind what is known to be published ({known.published}): " + (
            "Kafka has lost what was committed since" if metadata else by_hand
        )
    elif not metadata and not committed == known.applied == known.published:
        wrong = (
            f"its offset {committed} was set by hand, and of what is applied, {known.published} to"
            f" {known.applied - 1} may not be published"
        )
    return wrong


def sent_number_disagreement(number: int | None, metadata: str, known: Known, database_id: str) -> str:
    """Return in words why the last sent number and the database do not belong together, as above."""
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
