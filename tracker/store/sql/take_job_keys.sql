-- Keys for new jobs, in ascending order, and the database's time.
SELECT nextval(pg_get_serial_sequence('job', 'job_key')), now()
FROM generate_series(1, %(count)s)
