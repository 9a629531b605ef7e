-- Wake the scheduler when this transaction commits.
SELECT pg_notify('tracker_scheduler', '')
