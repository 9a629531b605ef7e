"""Why a record or a destination is refused."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """The stable code of a refusal, in the header `tracker-error-reason`."""

    NOT_JSON = "not-json"
    NOT_AN_OBJECT = "not-an-object"
    MISSING_FIELD = "missing-field"
    WRONG_TYPE = "wrong-type"
    BAD_JOB_TASK_ID = "bad-job-task-id"
    PERCENTAGE_OUT_OF_RANGE = "percentage-out-of-range"
    UNKNOWN_CLASSIFIER = "unknown-classifier"
    UNKNOWN_VERSION = "unknown-version"
    NUL_IN_TEXT = "nul-in-text"
    TOO_LARGE = "too-large"
    TOO_DEEP = "too-deep"
    DESTINATION_NOT_ALLOWED = "destination-not-allowed"
    DESTINATION_UNKNOWN = "destination-unknown"
    DATABASE_REJECTED = "database-rejected"
    UNRECEIVABLE = "unreceivable"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record or a destination is refused: a reason, and one sentence.

    It is a value, which can be kept and shared. An exception cannot: each raise adds frames to its traceback,
    and their locals hold the record.
    """

    reason: Reason
    detail: str


class RecordRefused(Exception):
    """A record cannot be honoured. Keep its `refusal`, and never the exception."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.refusal = Refusal(reason, detail)
