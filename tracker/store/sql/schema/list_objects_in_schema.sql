-- Return a few names of what the schema contains before the tracker's first migration: tables, types and the like, and
-- functions.
(SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace('tracker') AND relkind <> 'i' ORDER BY 1 LIMIT 4)
UNION
(SELECT typname::text FROM pg_type WHERE typnamespace = to_regnamespace('tracker') AND typtype <> 'c' AND typcategory <> 'A' ORDER BY 1 LIMIT 4)
UNION
(SELECT proname::text FROM pg_proc WHERE pronamespace = to_regnamespace('tracker') ORDER BY 1 LIMIT 4)
ORDER BY 1
LIMIT 4
