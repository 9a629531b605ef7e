-- A condition of count_jobs, where no status is Completed: the planner then takes the index of jobs that have not completed.
AND job.status = ANY (%(statuses)b::smallint[]) AND job.status <> 5 /* Completed */
