-- A condition of list_jobs: the jobs after one in the order of a time.
({time}, job.job_key) {operator} ({first}::timestamptz, {second}::bigint)
