"""The wire format: what task messages, events and dead letters look like, and what makes one bad.

Nothing here knows a job's state, a database or a broker. `decode` decodes the records of one poll, with
`task_message` (the envelope), `event` (messages for the tracker itself), `run_marker` (which run a message
belongs to) and `tracking` (how tracking ends), into `job_work` for each job. A record that cannot be honoured
has a `refusal`, and `dead_letter` headers. `pending_task` writes the task message that starts a job.
"""
