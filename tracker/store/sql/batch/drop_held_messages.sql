-- Drop the held messages of jobs that were paused and have ended, because messages of ended jobs are dropped.
WITH dropped_message AS (
    DELETE FROM held_message
    USING unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS ended_job (tenant_key, job_key)
    WHERE held_message.tenant_key = ended_job.tenant_key AND held_message.job_key = ended_job.job_key
    RETURNING held_message.tenant_key, held_message.job_key
),
drop_count AS (
    SELECT tenant_key, job_key, count(*) AS amount
    FROM dropped_message
    GROUP BY tenant_key, job_key
)
INSERT INTO dropped_work (tenant_key, kind, reason, amount, job_id)
SELECT drop_count.tenant_key, 'held_message',
       CASE job.status WHEN 3 /* Failed */ THEN 'failed' ELSE 'completed' END,
       drop_count.amount, job.job_id
FROM drop_count
JOIN job ON job.tenant_key = drop_count.tenant_key AND job.job_key = drop_count.job_key
