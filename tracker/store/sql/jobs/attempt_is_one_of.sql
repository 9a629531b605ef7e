-- A condition on jobs: they have been started so many times.
job.attempt = ANY ({value}::bigint[])
