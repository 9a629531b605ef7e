-- Return keys for new jobs, in ascending order, and the time of the database. The sequence is that of job.job_key,
-- named here: to look its name up for each key would take longer than everything else.
SELECT array_agg(nextval('job_job_key_seq')), now()
FROM generate_series(1, %(count)s)
