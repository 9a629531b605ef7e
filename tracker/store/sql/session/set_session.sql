-- Give the session these settings, and return their values as PostgreSQL writes them.
SELECT wanted.name, pg_catalog.set_config(wanted.name, wanted.value, false)
FROM unnest(%(names)s::text[], %(values)s::text[]) AS wanted (name, value)
