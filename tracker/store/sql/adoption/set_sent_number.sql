-- Take everything up to a number for sent by the scheduler.
UPDATE deployment
SET sent_number = %(number)s::bigint, last_send_number = greatest(last_send_number, %(number)s::bigint)
