"""Records that must be refused, one for each mistake, and the reason that each must get.

Each is a sound message with one mistake, so that only this mistake is tested. `SOUND` has the sound messages
that they are made from, and near misses. The tracker reads them from the topic `tracking`. It has the
tracking topics `TRACKING_TOPICS`, the dead-letter topic `tracker-dead-letter`, no destination patterns, the
default sizes, and no other topics exist than `KNOWN_TOPICS`.

Where two reasons are possible, the list at the head of `reading.py` says which one is right.
"""

from typing import NamedTuple

from tests.support.messages import task_message
from tests.support.model.bad_fields import missing_field, wrong_type, wrong_type_in_events
from tests.support.model.bad_json import (
    bad_json_in_events,
    no_object_in_events,
    not_an_object,
    not_json,
    not_utf8,
    too_deep,
    too_large,
)
from tests.support.model.bad_values import (
    bad_job_task_id,
    destination_not_allowed,
    destination_unknown,
    nul_in_text,
    percentage_out_of_range,
    unknown_classifier,
    unknown_version,
)
from tests.support.model.changed_messages import TASK
from tests.support.model.sound import sound_messages
from tests.support.records import Headers

TRACKING_TOPICS = ("tracking", "tracking-2")
KNOWN_TOPICS = frozenset({"worker-in", "worker-out", "t" * 249})


class Poison(NamedTuple):
    """A record's value and headers, and the reason to refuse it; empty if it is sound."""

    name: str
    value: bytes | None
    headers: Headers
    reason: str


REJECTED: Headers = (("x-caf-worker-rejected", b"too\0often"), ("x-caf-worker-retry", b"3"))

_BY_REASON = {
    "not-json": (not_json, not_utf8, bad_json_in_events),
    "not-an-object": (not_an_object, no_object_in_events),
    "too-large": (too_large,),
    "too-deep": (too_deep,),
    "missing-field": (missing_field,),
    "wrong-type": (wrong_type, wrong_type_in_events),
    "bad-job-task-id": (bad_job_task_id,),
    "percentage-out-of-range": (percentage_out_of_range,),
    "unknown-classifier": (unknown_classifier,),
    "unknown-version": (unknown_version,),
    "destination-not-allowed": (destination_not_allowed,),
    "destination-unknown": (destination_unknown,),
    "nul-in-text": (nul_in_text,),
}

POISON = [
    *(
        Poison(name, value, (), reason)
        for reason, makers in _BY_REASON.items()
        for maker in makers
        for name, value in maker()
    ),
    Poison("NUL in the header that rejects", task_message(TASK, status=None), REJECTED, "nul-in-text"),
]

SOUND = [Poison(name, value, (), "") for name, value in sound_messages()]
