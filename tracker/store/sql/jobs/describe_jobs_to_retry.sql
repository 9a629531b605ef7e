-- Return, of locked jobs, what decides whether each can be retried: its name and status, whether its task message is
-- stored, and the prerequisites that have failed or were cancelled.
SELECT job.tenant_key, job.job_key, tenant.partition_id, job.job_id, job.status,
       EXISTS (
           SELECT FROM task_message
           WHERE task_message.tenant_key = job.tenant_key AND task_message.job_key = job.job_key
       ) AS has_task_message,
       ARRAY(
           SELECT prerequisite_job.job_id
           FROM prerequisite
           JOIN job AS prerequisite_job
               ON prerequisite_job.tenant_key = prerequisite.tenant_key
               AND prerequisite_job.job_id = prerequisite.prerequisite_job_id
           WHERE prerequisite.tenant_key = job.tenant_key AND prerequisite.job_key = job.job_key
               AND prerequisite_job.status IN (3 /* Failed */, 4 /* Cancelled */)
           ORDER BY prerequisite_job.job_id
       ) AS obstacle_job_ids
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS retried_job (tenant_key, job_key)
JOIN job ON job.tenant_key = retried_job.tenant_key AND job.job_key = retried_job.job_key
JOIN tenant ON tenant.tenant_key = job.tenant_key
