-- Ends the savepoint: what follows can no longer be undone by itself.
RELEASE SAVEPOINT before_locks
