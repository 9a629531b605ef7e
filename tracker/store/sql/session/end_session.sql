-- End an earlier session of our own that the server may still believe in after the network was cut, and wait for
-- it to let go of its locks. Not one that has no slot: a connection pooler has given its process to others, or to us.
SELECT pg_terminate_backend(pid, 5000)
FROM pg_stat_activity
WHERE pid = %(pid)s
    AND backend_start = %(backend_start)s
    AND EXISTS (
        SELECT FROM pg_locks
        WHERE pg_locks.pid = pg_stat_activity.pid AND locktype = 'advisory' AND classid = %(class)s::int::oid
    );
