-- Releases the locks that were taken after the savepoint: those of rows, and the advisory ones.
ROLLBACK TO SAVEPOINT before_locks
