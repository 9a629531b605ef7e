-- Become the one that sends what no message triggers, for as long as the session lasts.
SELECT pg_try_advisory_lock(%(class)s, 0)
