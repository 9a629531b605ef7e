"""Tracks jobs made of many tasks, from Kafka into PostgreSQL and back."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracker.client import AsyncClient, Client
    from tracker.diagnosis.reason import Reason, ReasonCode, ReasonCount, Why, WhySummary
    from tracker.errors import (
        DatabaseReadOnly,
        DatabaseUnavailable,
        InvalidJob,
        InvalidQuery,
        JobConflict,
        JobNotFound,
        JobRefused,
        SchemaMismatch,
        TrackerError,
        TransactionConflict,
        WaitTimedOut,
    )
    from tracker.job_status import JobStatus
    from tracker.jobs.job import (
        ChangeCount,
        ChangedJob,
        ChangedPrerequisites,
        Job,
        JobCount,
        JobDetails,
        JobPage,
        MissingCount,
        MissingState,
        MissingTasks,
        NewJob,
        NewTask,
        PartitionState,
        PrerequisiteState,
        RootFailure,
        SubmittedJob,
        TaskFailure,
        TimeLeft,
        WatchedJob,
    )

__version__ = "0.2.0"

__all__ = [
    "AsyncClient",
    "ChangeCount",
    "ChangedJob",
    "ChangedPrerequisites",
    "Client",
    "DatabaseReadOnly",
    "DatabaseUnavailable",
    "InvalidJob",
    "InvalidQuery",
    "Job",
    "JobConflict",
    "JobCount",
    "JobDetails",
    "JobNotFound",
    "JobPage",
    "JobRefused",
    "JobStatus",
    "MissingCount",
    "MissingState",
    "MissingTasks",
    "NewJob",
    "NewTask",
    "PartitionState",
    "PrerequisiteState",
    "Reason",
    "ReasonCode",
    "ReasonCount",
    "RootFailure",
    "SchemaMismatch",
    "SubmittedJob",
    "TaskFailure",
    "TimeLeft",
    "TrackerError",
    "TransactionConflict",
    "WaitTimedOut",
    "WatchedJob",
    "Why",
    "WhySummary",
]


_MODULES = (
    "tracker.errors",
    "tracker.job_status",
    "tracker.jobs.job",
    "tracker.diagnosis.reason",
    "tracker.client",
)


def __getattr__(name: str) -> object:
    """Import a name when it is used: PostgreSQL's driver takes 100 ms, and `tracker --help` needs none."""
    if name not in __all__:
        raise AttributeError(f"module 'tracker' has no attribute {name!r}")
    for module in _MODULES:
        value: object = getattr(import_module(module), name, None)
        if value is not None:
            globals()[name] = value
            return value
    raise AssertionError(name)
