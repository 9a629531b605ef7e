-- What is done from here on can be undone by itself, and its locks be let go of.
SAVEPOINT before_locks
