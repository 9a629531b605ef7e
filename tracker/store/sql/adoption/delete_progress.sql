-- Delete the progress of a Kafka partition: the next record that is read from it is the first.
DELETE FROM kafka_progress WHERE topic = %(topic)s AND kafka_partition = %(kafka_partition)s
