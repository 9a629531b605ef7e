-- Note that an action has changed more jobs.
UPDATE action SET job_count = job_count + %(job_count)s
WHERE action_key = %(action_key)s
