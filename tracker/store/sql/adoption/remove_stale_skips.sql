-- Delete the requests to skip records in a Kafka partition of a topic that has been recreated.
DELETE FROM record_skip AS skip
USING kafka_progress AS progress
WHERE skip.topic = %(topic)s
    AND skip.kafka_partition = %(kafka_partition)s
    AND progress.topic = skip.topic
    AND progress.kafka_partition = skip.kafka_partition
    AND progress.topic_id <> %(topic_id)s
