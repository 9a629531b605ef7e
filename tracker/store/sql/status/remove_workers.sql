-- Remove the rows of workers that have stopped, and those of processes that died long ago.
DELETE FROM worker_process
WHERE member_id = ANY (%(member_ids)s::text[]) OR write_time < now() - interval '1 day'
