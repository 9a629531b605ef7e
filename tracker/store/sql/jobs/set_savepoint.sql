-- Begins what can be undone by itself, with the release of its locks.
SAVEPOINT before_locks
