-- Return whether a removed or retried job has left rows of tasks.
SELECT EXISTS (SELECT FROM removed_job)
