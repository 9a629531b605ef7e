-- Let all statements of this transaction see the database as it is now; it is the first of them.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY
