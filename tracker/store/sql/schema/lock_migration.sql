-- Wait for whoever else migrates, or grants, to be done; held until the transaction's end.
SELECT pg_advisory_xact_lock(%(class)s::int, 0)
