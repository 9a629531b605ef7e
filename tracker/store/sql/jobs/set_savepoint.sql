-- Begin a part of the transaction that can be rolled back by itself, which releases its locks.
SAVEPOINT before_locks
