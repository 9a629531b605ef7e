-- A condition of list_jobs and count_jobs.
AND tenant.partition_id = ANY (%(partition_ids)b::text[])
