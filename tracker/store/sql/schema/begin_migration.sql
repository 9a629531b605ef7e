-- For the rest of this transaction a migration may take its time, and what it names without a schema is the tracker's,
-- whatever the session's settings are. Three statements, without parameters.
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = 0;
SET LOCAL search_path = tracker, pg_temp;
