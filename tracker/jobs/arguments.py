"""Checks the arguments of verbs other than jobs, so that a wrong type is refused in a sentence."""

from collections.abc import Iterable
from math import isnan
from typing import Any

import msgspec

from tracker.errors import InvalidQuery, TrackerError
from tracker.job_filter import JobFilter
from tracker.jobs.fields import kind_of
from tracker.jobs.validation import find_unstorable


def check_several(what: str, given: object) -> Iterable[Any]:
    """Return what was given as an iterable. A string, or a job that a verb has returned, counts as one item.

    :raises InvalidQuery: it is neither one item nor an iterable.
    """
    if isinstance(given, str | msgspec.Struct):
        return [given]
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise InvalidQuery(f"the {what} are given as {kind_of(given)}, not as one or a list of them")
    return given


def check_text(what: str, given: object) -> str:
    """Return what was given, if it is a string.

    :raises InvalidQuery: it is not.
    """
    if not isinstance(given, str):
        raise InvalidQuery(f"the {what} is {kind_of(given)}, not a string")
    return given


def check_matching(given: object) -> str | JobFilter:
    """Return what was given, if it is a filter, or a string that may be one.

    :raises InvalidQuery: it is neither.
    """
    if not isinstance(given, str | JobFilter):
        raise InvalidQuery(f"what jobs must match is {kind_of(given)}, not RSQL or a JobFilter")
    return given


def check_flag(what: str, given: object) -> bool:
    """Return what was given, if it is true or false.

    :raises InvalidQuery: it is neither.
    """
    if not isinstance(given, bool):
        raise InvalidQuery(f"`{what}` is {kind_of(given)}, not a boolean")
    return given


def check_limit(limit: object) -> None:
    """Check that a limit is a whole number, 0 or greater.

    :raises InvalidQuery: it is not.
    """
    if type(limit) is not int:
        raise InvalidQuery(f"the limit is {kind_of(limit)}, not a whole number")
    if limit < 0:
        raise InvalidQuery(f"the limit is {limit}, and cannot be below 0")


def check_timeout(timeout: object) -> None:
    """Check that a timeout is a number of seconds, or None.

    :raises InvalidQuery: it is not.
    """
    if timeout is None:
        return
    if not isinstance(timeout, int | float) or isinstance(timeout, bool):
        raise InvalidQuery(f"the timeout is {kind_of(timeout)}, not a number of seconds")
    if isnan(timeout):
        raise InvalidQuery("the timeout is NaN, not a number of seconds")


def check_user(user: object) -> None:
    """Check that the name of a client's user is a string that can be stored, or None.

    :raises TrackerError: it is not.
    """
    if user is not None and find_unstorable(check_text("user", user)) is not None:
        raise TrackerError(f"the user {user!a} has a NUL, or half a character")


def check_connections(database_url: object, max_connections: object) -> None:
    """Check the arguments of a client.

    :raises TrackerError: one is wrong.
    """
    check_text("database URL", database_url)
    if type(max_connections) is not int or max_connections < 1:
        shown = max_connections if isinstance(max_connections, int | float) else kind_of(max_connections)
        raise TrackerError(f"max_connections is {shown}, not a whole number from 1 up")
