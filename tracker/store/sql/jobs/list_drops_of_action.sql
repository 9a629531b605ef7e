-- Return how many messages were dropped of the jobs that an action has changed, of those of which some were after it.
-- It reads all notes, and then the jobs of the latest ones by their keys: only jobs that have lost messages have a note.
-- A batch that waited for the action notes the time at which it began, so an hour is allowed for it.
SELECT job_note.tenant_key, job_note.job_key, job_note.dropped
FROM job_note
WHERE job_note.drop_time > (
        SELECT action.action_time - interval '1 hour'
        FROM action
        WHERE action.action_key = %(action_key)s
    )
    AND (
        SELECT job.action_key
        FROM job
        WHERE job.tenant_key = job_note.tenant_key AND job.job_key = job_note.job_key
    ) = %(action_key)s
