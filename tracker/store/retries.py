"""Which transactions are run again when others were in their way, and after which pause."""

import random
from collections.abc import Iterator

from psycopg import errors

ATTEMPTS = 5
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 1.0

# Another transaction was in the way, and this one has been undone: it is simply run again. A unique violation
# is a job that another submit stored at the same moment. A session that may only read began when its role was
# not allowed more, or its server was a standby: there may be several in the pool, and a new one may write.
RETRIED = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.UniqueViolation,
    errors.ReadOnlySqlTransaction,
)


def pauses() -> Iterator[float]:
    """Return how long to wait before each further attempt, in seconds.

    Longer each time, as what is in the way may take as long; and by chance, as two that were in each other's
    way would meet again.
    """
    for attempt in range(ATTEMPTS - 1):
        yield random.uniform(0.5, 1) * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 4**attempt)
