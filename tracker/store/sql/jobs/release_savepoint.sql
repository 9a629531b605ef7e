-- End the savepoint: what follows can no longer be rolled back by itself.
RELEASE SAVEPOINT before_locks
