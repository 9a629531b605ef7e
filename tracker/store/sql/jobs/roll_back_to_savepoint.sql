-- Release the locks that were taken after the savepoint: those on rows, and advisory locks.
ROLLBACK TO SAVEPOINT before_locks
