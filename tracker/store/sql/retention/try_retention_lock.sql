-- Become the one that removes old jobs, for as long as the session lasts.
SELECT pg_try_advisory_lock(%(class)s, 0)
