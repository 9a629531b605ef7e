-- Take the lock of retention until the end of the session, if it is free. Never waits.
SELECT pg_try_advisory_lock(%(class)s, 0)
