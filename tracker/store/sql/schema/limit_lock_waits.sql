-- Give a migration each lock from here on within a second, or not at all: every transaction that asks for the same
-- table after it waits for the migration too, even a batch that could share the table with its present user.
SET LOCAL lock_timeout = '1s'
