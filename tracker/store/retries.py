"""Which transactions are run again after a conflict with others, and after how long."""

import random
from collections.abc import Iterator

from psycopg import errors

ATTEMPTS = 5
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 1.0

# This transaction conflicted with another one and was rolled back, so it can be run again. A unique violation
# is a job that another submit stored at the same moment. A read-only session began when its role was not
# allowed more, or its server was a standby: the pool may have several, and a new one may be able to write.
RETRIED = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.UniqueViolation,
    errors.ReadOnlySqlTransaction,
)


def pauses() -> Iterator[float]:
    """Yield the pause before each further attempt, in seconds.

    Pauses become longer, because the other transaction may take long. They are random, because two
    transactions that were in conflict with each other would meet again.
    """
    for attempt in range(ATTEMPTS - 1):
        yield random.uniform(0.5, 1) * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 4**attempt)
