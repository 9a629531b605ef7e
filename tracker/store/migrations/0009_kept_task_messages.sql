-- Works with programs from 0.2.0 on.
--
-- A job's task message stays until the job has completed or was cancelled, because a retry of a failed job sends it once
-- more. So does the edge to a prerequisite of a job that has failed, because the retried job waits again.
ALTER TABLE pending_task RENAME TO task_message;
ALTER INDEX pending_task_pkey RENAME TO task_message_pkey;
ALTER INDEX pending_task_eligible RENAME TO task_message_eligible;
ALTER TABLE task_message
    -- When it was put into the outbox, from which it is sent at once; null: it has not been, or was taken out again.
    ADD COLUMN sent_time timestamptz,
    -- It told programs of 0.1.0 that a job was paused while it was Waiting.
    DROP COLUMN resumed;
-- The scheduler used to mark a task message only by its row in the outbox.
UPDATE task_message SET sent_time = now(), eligible_time = NULL
FROM outbox
WHERE outbox.tenant_key = task_message.tenant_key AND outbox.job_key = task_message.job_key
    AND outbox.held_number = 0;
