-- Return what identifies this session, even if a later one gets the same process ID.
SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid();
