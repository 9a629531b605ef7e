-- Lock the one row of the deployment: another scheduler that works at the same time waits here.
SELECT database_id, last_send_number, sent_number FROM deployment FOR UPDATE
