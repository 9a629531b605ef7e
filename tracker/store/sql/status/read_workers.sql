-- Return what the workers do that have written it lately.
SELECT member_id, host, slot, version, ready, detail,
       extract(epoch FROM now() - progress_time)::float8 AS idle_s,
       records_per_second, stage_seconds, kafka_partitions
FROM worker_process
WHERE write_time > now() - interval '15 s'
ORDER BY host, member_id
