-- How many jobs the records of a Kafka partition below an offset were to start, and may have started.
SELECT count(*) FROM outbox
WHERE source_topic = %(topic)s::text AND source_partition = %(kafka_partition)s::integer
    AND source_offset < %(below)s::bigint
