-- How much has a number above the ledger's.
SELECT count(*) FROM outbox WHERE send_number > %(ledger)s::bigint
