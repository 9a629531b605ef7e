-- A condition of list_jobs: the jobs after one in the order of partition IDs and IDs.
(tenant.partition_id, job.job_id) {operator} ({first}::text, {second}::text)
