-- A migration gets each lock from here on within a second, or not at all: whatever asks for the same table after it
-- waits for the migration too, also a batch that could share the table with its present user.
SET LOCAL lock_timeout = '1s'
