-- Take a slot for this session, unless another session has it. Never waits.
SELECT pg_try_advisory_lock(%(class)s::int, %(key)s::int);
