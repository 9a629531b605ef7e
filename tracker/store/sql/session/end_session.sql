-- End an earlier session of this supervisor, which the server may still consider alive after the network was cut, and
-- wait until its locks are released. Do not end one without a slot: a connection pooler has given its process to other
-- clients, or to this one.
SELECT pg_terminate_backend(pid, 5000)
FROM pg_stat_activity
WHERE pid = %(pid)s
    AND backend_start = %(backend_start)s
    AND EXISTS (
        SELECT FROM pg_locks
        WHERE pg_locks.pid = pg_stat_activity.pid AND locktype = 'advisory' AND classid = %(class)s::int::oid
    );
