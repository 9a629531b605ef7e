-- A condition on jobs.
job.status = ANY ({statuses}::smallint[])
