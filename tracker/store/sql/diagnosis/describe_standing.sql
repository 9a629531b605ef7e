-- Return what is stored of some jobs that says why each stands where it stands. Held messages are counted up to a limit.
SELECT job.tenant_key, job.job_key, tenant.partition_id, job.job_id, job.status, job.percentage, job.attempt,
       tenant.suspended, job.last_update_time, job.pause_time, job.end_time, job.end_record, job.root_job_id,
       job.contradicted, task_message.job_key IS NOT NULL AS has_task_message,
       coalesce(task_message.unmet, 0), task_message.eligible_time, task_message.sent_time,
       coalesce(task_message.delay_s, 0), task_message.task_pipe, task_message.not_sent_reason,
       last_action.verb, last_action.user_name,
       (
           SELECT count(*)
           FROM (
               SELECT
               FROM held_message
               WHERE held_message.tenant_key = job.tenant_key AND held_message.job_key = job.job_key
               LIMIT %(most_held)b
           ) AS first_held
       ) AS held,
       coalesce(job_note.dropped, 0), job_note.drop_reason, job_note.drop_time, job_note.drop_record,
       coalesce(job_note.dead_letters, 0), job_note.dead_letter_reason, job_note.dead_letter_time,
       job_note.dead_letter_record
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS wanted_job (tenant_key, job_key)
JOIN job ON job.tenant_key = wanted_job.tenant_key AND job.job_key = wanted_job.job_key
JOIN tenant ON tenant.tenant_key = job.tenant_key
LEFT JOIN LATERAL (
    SELECT action.verb, action.user_name FROM action WHERE action.action_key = job.action_key
    LIMIT 1  -- so that it is looked up by its key for each job, and never read as a whole
) AS last_action ON true
LEFT JOIN task_message ON task_message.tenant_key = job.tenant_key AND task_message.job_key = job.job_key
LEFT JOIN job_note ON job_note.tenant_key = job.tenant_key AND job_note.job_key = job.job_key
