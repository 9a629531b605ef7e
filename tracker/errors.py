"""The errors that a user can understand and act on."""


class TrackerError(Exception):
    """Base of all errors for users: the text is one plain sentence, and is shown as it is."""


class JobNotFound(TrackerError):
    """No job with this name is stored."""


class JobConflict(TrackerError):
    """A job with this name is stored already, with other content."""


class JobRefused(TrackerError):
    """A rule forbids the call; nothing was stored or changed.

    The rule is about stored jobs: a prerequisite has failed or was cancelled, prerequisites would form a
    cycle, or the status of a job does not allow the change. Two subclasses are about the arguments alone.
    """


class InvalidJob(JobRefused):
    """A job to be submitted breaks a rule by itself, whatever is stored.

    It is a `JobRefused`, because programs that catch that for such jobs must catch it still.
    """


class InvalidQuery(JobRefused):
    """What is asked for is malformed, or does not exist: a status, sort, filter, limit or timeout.

    It is a `JobRefused`, because programs that catch that for such arguments must catch it still.
    """


class SettingsError(TrackerError):
    """The configuration is wrong.

    Each of `problems` is a sentence that names a variable, its value (secrets masked) and what is allowed.
    The text is all of them, each on a line.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)


class DatabaseUnavailable(TrackerError):
    """PostgreSQL cannot be reached, ended the session, or did not answer in time; the call may work later."""


class DatabaseReadOnly(DatabaseUnavailable):
    """PostgreSQL is available, but only for reading; the same call may work later."""


class TransactionConflict(TrackerError):
    """Each attempt conflicted with other transactions, and nothing was changed; the call may work later."""


class SchemaMismatch(TrackerError):
    """The database's schema does not match this program; the text says what to do."""


class StackError(TrackerError):
    """The local Kafka or PostgreSQL cannot be installed, started or found; the text says what to do."""


class WaitTimedOut(TrackerError):
    """What was waited for has not happened in time: the end of jobs, or that their messages have passed."""


def sentence(text: str) -> str:
    """Return a text as a sentence: with a capital, and a full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."
