-- Lock out other programs that migrate or grant, until the session ends or unlocks, unless one does so now.
SELECT pg_try_advisory_lock(%(class)s::int, 0)
