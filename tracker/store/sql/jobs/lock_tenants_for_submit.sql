-- Take the advisory locks of a submit, in the order of the arrays (see tracker.store.locks.PREREQUISITES). The
-- statements after it see everything that was committed before it got them.
SELECT CASE
    WHEN lock.is_alone THEN pg_advisory_xact_lock(%(class)s, lock.key)
    ELSE pg_advisory_xact_lock_shared(%(class)s, lock.key)
END
FROM unnest(%(keys)b::integer[], %(alone)b::boolean[]) AS lock (key, is_alone)
