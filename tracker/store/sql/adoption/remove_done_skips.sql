-- Delete the requests to skip records that have been skipped.
DELETE FROM record_skip AS skip
USING kafka_progress AS progress
WHERE progress.topic = skip.topic
    AND progress.kafka_partition = skip.kafka_partition
    AND progress.published_offset >= skip.next_offset
