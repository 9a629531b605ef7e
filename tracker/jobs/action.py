"""What people do to jobs is noted: one row for each call, to which the jobs point that it has changed."""

import os
from dataclasses import dataclass
from functools import cache

from tracker.store.steps import ReadUser, Verb, ask

_FILTER_CHARS = 10_000  # of a filter that are kept: it may name thousands of jobs


@dataclass(frozen=True)
class Action:
    """What somebody does."""

    verb: str
    filter: str | None = None  # as it was given, or what else says what was done; None: the jobs are named
    key: int | None = None  # None: nothing was changed yet, and so there is no row

    def note(self, job_count: int) -> Verb[int]:
        """Note that so many more jobs are changed, and return the key to which they point."""
        if self.key is not None:
            yield from ask("count_action", action_key=self.key, job_count=job_count)
            return self.key
        ((user_name,),) = yield ReadUser()
        ((key,),) = yield from ask(
            "add_action",
            user_name=user_name,
            verb=self.verb,
            filter=None if self.filter is None else self.filter[:_FILTER_CHARS],
            job_count=job_count,
        )
        return int(key)


@cache
def os_user() -> str:
    """Return the name of the operating system's user; empty where there is none, as in some containers."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return ""
