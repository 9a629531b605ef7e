-- Return how many outbox entries have a number above the last sent number.
SELECT count(*) FROM outbox WHERE send_number > %(sent_number)s::bigint
