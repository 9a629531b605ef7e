-- Forget a Kafka partition: the next record read of it is the first.
DELETE FROM kafka_progress WHERE topic = %(topic)s AND kafka_partition = %(kafka_partition)s
