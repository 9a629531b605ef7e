-- A condition of search_updated: the jobs that job_completed has in the order of their last update.
job.status = 5 /* Completed */ AND job.end_time IS NOT NULL
