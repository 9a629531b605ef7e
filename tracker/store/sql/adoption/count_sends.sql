-- How much has a number above the last sent number's.
SELECT count(*) FROM outbox WHERE send_number > %(sent_number)s::bigint
