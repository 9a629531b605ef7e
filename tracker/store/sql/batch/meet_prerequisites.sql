-- Release the dependents of jobs that have completed: delete their edges, subtract these from the number of unmet
-- prerequisites of each dependent, and put the dependents without unmet ones into the outbox, under the record
-- that completed the last prerequisite. A dependent that must wait (a delay, a pause, a suspended partition ID)
-- becomes eligible instead; the scheduler sends it, or drops it if the job has ended by then. Earlier reports on a
-- job do not matter: an Active job is released like a Waiting one.
--
-- Two prerequisites may complete at the same moment in two transactions. Each sees the edge of the other, but
-- the number in task_message changes under the lock of its row, so the second transaction arrives at 0. Lock edges
-- first, then task messages, both in key order, as every statement does.
WITH completed_job AS (
    SELECT *
    FROM unnest(
        %(tenant_keys)b::integer[], %(job_ids)b::text[], %(topics)b::text[], %(kafka_partitions)b::integer[],
        %(offsets)b::bigint[], %(correlation_ids)b::bytea[]
    ) WITH ORDINALITY
        AS completed (tenant_key, job_id, topic, kafka_partition, record_offset, correlation_id, ordinality)
),
locked_edge AS (
    SELECT prerequisite.tenant_key, prerequisite.prerequisite_job_id, prerequisite.job_key,
           completed_job.topic, completed_job.kafka_partition, completed_job.record_offset,
           completed_job.correlation_id, completed_job.ordinality
    FROM completed_job
    JOIN prerequisite
        ON prerequisite.tenant_key = completed_job.tenant_key
        AND prerequisite.prerequisite_job_id = completed_job.job_id
    ORDER BY prerequisite.tenant_key, prerequisite.prerequisite_job_id, prerequisite.job_key
    FOR UPDATE OF prerequisite
),
met_edge AS (
    DELETE FROM prerequisite
    USING locked_edge
    WHERE prerequisite.tenant_key = locked_edge.tenant_key
        AND prerequisite.prerequisite_job_id = locked_edge.prerequisite_job_id
        AND prerequisite.job_key = locked_edge.job_key
    RETURNING locked_edge.*
),
dependent AS (  -- each with the record that completed its last prerequisite; a join would have no index
    SELECT DISTINCT ON (tenant_key, job_key)
           tenant_key, job_key, topic, kafka_partition, record_offset, correlation_id,
           count(*) OVER (PARTITION BY tenant_key, job_key)::integer AS met
    FROM met_edge
    ORDER BY tenant_key, job_key, ordinality DESC
),
locked_task AS (
    SELECT dependent.*, job.status > 2 /* Paused */ OR tenant.suspended AS is_not_sent
    FROM dependent
    JOIN task_message
        ON task_message.tenant_key = dependent.tenant_key AND task_message.job_key = dependent.job_key
    JOIN job ON job.tenant_key = dependent.tenant_key AND job.job_key = dependent.job_key
    JOIN tenant ON tenant.tenant_key = dependent.tenant_key
    ORDER BY task_message.tenant_key, task_message.job_key
    FOR UPDATE OF task_message
),
counted_task AS (
    UPDATE task_message
    SET unmet = task_message.unmet - locked_task.met,
        correlation_id = locked_task.correlation_id,
        eligible_time = CASE
            WHEN task_message.unmet = locked_task.met
                AND (task_message.delay_s > 0 OR task_message.paused OR locked_task.is_not_sent)
            THEN now() + make_interval(secs => task_message.delay_s)
        END,
        sent_time = CASE
            WHEN task_message.unmet = locked_task.met
                AND NOT (task_message.delay_s > 0 OR task_message.paused OR locked_task.is_not_sent)
            THEN now()
        END
    FROM locked_task
    WHERE task_message.tenant_key = locked_task.tenant_key AND task_message.job_key = locked_task.job_key
    RETURNING task_message.tenant_key, task_message.job_key, task_message.sent_time,
              locked_task.topic, locked_task.kafka_partition, locked_task.record_offset
)
INSERT INTO outbox (tenant_key, job_key, source_topic, source_partition, source_offset, task_id)
SELECT tenant_key, job_key, topic, kafka_partition, record_offset, gen_random_uuid()::text
FROM counted_task
WHERE sent_time IS NOT NULL
