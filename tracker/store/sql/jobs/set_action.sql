-- Have a locked job point to what somebody has done to it.
UPDATE job SET action_key = %(action_key)s
WHERE tenant_key = %(tenant_key)b::integer AND job_key = %(job_key)b::bigint
