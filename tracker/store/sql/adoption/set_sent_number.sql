-- Record that the scheduler has sent everything up to a number.
UPDATE deployment
SET sent_number = %(number)s::bigint, last_send_number = greatest(last_send_number, %(number)s::bigint)
