-- Lets go of the locks that were taken since the savepoint, those of rows and the advisory ones.
ROLLBACK TO SAVEPOINT before_locks
