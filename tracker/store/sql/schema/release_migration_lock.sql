-- Let other programs migrate and grant again.
SELECT pg_advisory_unlock(%(class)s::int, 0)
