-- Return the process that serves the session at this moment.
SELECT pg_catalog.pg_backend_pid()
