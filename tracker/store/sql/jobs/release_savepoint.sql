-- Ends the savepoint: what follows is no longer undone with it.
RELEASE SAVEPOINT before_locks
