-- Become the active scheduler until the end of the session, unless there is one. Never waits.
SELECT pg_try_advisory_lock(%(class)s, 0)
