-- A condition of list_jobs and count_jobs.
AND job.job_id ^@ %(prefix)s::text
