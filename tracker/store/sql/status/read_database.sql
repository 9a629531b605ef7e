-- Return the size of the database, the dead rows of the tracker's tables, and the age of the oldest transaction of
-- another session in this database; null: the role may not see that.
SELECT
    pg_database_size(current_database()) AS size_bytes,
    (SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables WHERE schemaname = 'tracker') AS dead_rows,
    CASE WHEN pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') THEN (
        SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
    ) END AS oldest_transaction_s
