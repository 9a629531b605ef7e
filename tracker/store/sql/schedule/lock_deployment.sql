-- Lock the one row of the deployment: whoever schedules waits here for whoever does so at the same time.
SELECT database_id, last_send_number, sent_number FROM deployment FOR UPDATE
