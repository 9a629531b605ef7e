-- Wait until no other program migrates or grants, and lock both out until the transaction's end.
SELECT pg_advisory_xact_lock(%(class)s::int, 0)
