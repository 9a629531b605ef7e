-- Note what somebody does to jobs, and return the key by which these point to it.
INSERT INTO action (user_name, verb, filter, job_count)
VALUES (%(user_name)s, %(verb)s, %(filter)s, %(job_count)s)
RETURNING action_key
