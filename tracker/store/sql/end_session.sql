-- End an earlier session of our own that the server may still believe in after the network was cut, and wait for
-- it to let go of its locks.
SELECT pg_terminate_backend(pid, 5000)
FROM pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(backend_start)s;
