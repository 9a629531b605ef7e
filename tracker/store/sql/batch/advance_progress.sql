-- Store up to which offsets the batch's Kafka partitions are applied, and known to be published.
UPDATE kafka_progress AS progress
SET next_offset = new.next_offset,
    published_offset = new.published_offset,
    withheld = new.withheld,
    refused = new.refused::jsonb
FROM unnest(
    %(topics)b::text[], %(kafka_partitions)b::integer[], %(next_offsets)b::bigint[],
    %(published_offsets)b::bigint[], %(withheld)b::bytea[], %(refused)b::text[]
) AS new (topic, kafka_partition, next_offset, published_offset, withheld, refused)
WHERE progress.topic = new.topic AND progress.kafka_partition = new.kafka_partition
