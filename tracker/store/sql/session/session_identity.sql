-- Name this session so that it can be told from a later one that was given the same process ID.
SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid();
