-- Return how many jobs there are about, as the planner estimates it: by the rows of a page when the table was analysed last,
-- and its pages now. Null: this is not known of some part of it,
-- which was never analysed, or only while it was empty.
SELECT CASE
    WHEN bool_and(pg_class.reltuples > 0 OR pg_relation_size(pg_class.oid) = 0) THEN round(
        sum(
            greatest(pg_class.reltuples, 0)::float8 / greatest(pg_class.relpages, 1)
            * (pg_relation_size(pg_class.oid) / current_setting('block_size')::integer)
        )
    )::bigint
END
FROM pg_class
WHERE pg_class.relkind = 'r' AND (
    pg_class.oid = to_regclass('tracker.job')
    OR pg_class.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('tracker.job'))
)
