-- A condition of list_jobs and count_jobs.
AND job.status = ANY (%(statuses)b::smallint[])
