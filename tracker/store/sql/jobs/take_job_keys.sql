-- Keys for new jobs, in ascending order, and the database's time. The sequence is that of job.job_key; to look
-- its name up for each key would take longer than all the rest.
SELECT array_agg(nextval('job_job_key_seq')), now()
FROM generate_series(1, %(count)s)
