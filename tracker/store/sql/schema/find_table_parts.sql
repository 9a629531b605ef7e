-- Return whether a table is spread over hash partitions, and the names of those, in order.
SELECT pg_class.relkind = 'p',
       ARRAY(
           SELECT part.relname::text
           FROM pg_inherits
           JOIN pg_class AS part ON part.oid = pg_inherits.inhrelid
           WHERE pg_inherits.inhparent = pg_class.oid
           ORDER BY part.relname
       )
FROM pg_class
WHERE pg_class.oid = to_regclass(%(table)s::text)
