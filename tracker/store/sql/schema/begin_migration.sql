-- For the rest of this transaction, let a migration take its time, and resolve names without a schema in the tracker's
-- schema, whatever the session's settings are. Three statements, without parameters.
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = 0;
SET LOCAL search_path = tracker, pg_temp;
