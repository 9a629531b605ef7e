-- A condition of search_updated: the jobs that an earlier version has completed.
job.status = 5 /* Completed */ AND job.end_time IS NULL
