-- A condition of list_jobs where it searches tenant by tenant: the jobs after one in the descending order of partition IDs
-- and IDs. Of each tenant, an index has those whose ID is less than this, which for other tenants is more than the last ID.
tenant.partition_id <= {first}::text
AND job.job_id < CASE
    WHEN tenant.partition_id = {first}::text THEN {second}::text
    ELSE (SELECT max(last_job.job_id) || ' ' FROM job AS last_job WHERE last_job.tenant_key = tenant.tenant_key)
END
