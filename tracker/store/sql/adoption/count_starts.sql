-- How many jobs are to be started by a Kafka partition's records below an offset, and may have been.
SELECT count(*) FROM outbox
WHERE source_topic = %(topic)s::text AND source_partition = %(kafka_partition)s::integer
    AND source_offset < %(below)s::bigint
