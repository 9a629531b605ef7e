-- Store up to which offsets the batch's Kafka partitions are applied, and known to be published, and the time of the
-- last record that is applied; -1: it is not known, and that of an earlier one stays.
UPDATE kafka_progress AS progress
SET next_offset = new.next_offset,
    published_offset = new.published_offset,
    withheld = new.withheld,
    refused = new.refused::jsonb,
    record_time = CASE
        WHEN new.record_time_ms < 0 THEN progress.record_time
        ELSE to_timestamp(new.record_time_ms / 1000.0)
    END
FROM unnest(
    %(topics)b::text[], %(kafka_partitions)b::integer[], %(next_offsets)b::bigint[],
    %(published_offsets)b::bigint[], %(withheld)b::bytea[], %(refused)b::text[], %(record_times_ms)b::bigint[]
) AS new (topic, kafka_partition, next_offset, published_offset, withheld, refused, record_time_ms)
WHERE progress.topic = new.topic AND progress.kafka_partition = new.kafka_partition
