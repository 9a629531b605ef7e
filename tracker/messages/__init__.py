"""The wire format: what a task message, an event and a dead letter look like, and what makes one bad.

Nothing here knows a job's state, a database or a broker. A message is walked through in this order:
`batch` sorts the records of one poll, with `task_message` (the envelope), `event` (messages for the
tracker itself) and `tracking` (where tracking ends); what cannot be honoured is a `refusal`. `release`
writes the task message that starts a job.
"""
