-- A condition of list_jobs where it searches tenant by tenant: the jobs after one in the order of partition IDs and IDs. Of
-- each tenant, an index has those whose ID is greater than this; no ID is empty.
tenant.partition_id >= {first}::text
AND job.job_id > CASE WHEN tenant.partition_id = {first}::text THEN {second}::text ELSE '' END
