-- Return up to which number messages have been put in the outbox by the scheduler, and up to which all are sent.
SELECT last_send_number, sent_number FROM deployment
