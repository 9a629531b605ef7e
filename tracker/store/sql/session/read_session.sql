-- Return the session's settings, in the order of the names.
SELECT ARRAY(
    SELECT pg_catalog.current_setting(wanted.name)
    FROM unnest(%(names)s::text[]) WITH ORDINALITY AS wanted (name, ordinality)
    ORDER BY wanted.ordinality
)
