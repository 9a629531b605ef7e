-- A condition of count_jobs, where no status is Completed: the planner then takes the index of jobs that have not completed.
job.status = ANY ({statuses}::smallint[]) AND job.status <> 5 /* Completed */
