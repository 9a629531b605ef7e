-- Return how many jobs the records of a Kafka partition below an offset have released, which may have started
-- already.
SELECT count(*) FROM outbox
WHERE source_topic = %(topic)s::text AND source_partition = %(kafka_partition)s::integer
    AND source_offset < %(below)s::bigint
