-- Return the task messages to be published with a batch: those that its records have released, now or in an earlier
-- attempt whose Kafka transaction did not commit.
--
-- The tenant is a subquery, not a join. A join offers the planner the tenant's key to find jobs with; without
-- statistics of the tables the planner takes it, and reads all jobs of the tenant for each row (10 s for 10,000
-- rows, and not 0.1 s).
SELECT outbox.tenant_key, outbox.job_key,
       (SELECT tenant.partition_id FROM tenant WHERE tenant.tenant_key = outbox.tenant_key),
       job.job_id, task_message.task_classifier, task_message.task_api_version,
       task_message.task_data, task_message.task_pipe, task_message.target_pipe, task_message.correlation_id,
       outbox.task_id
FROM unnest(
    %(topics)b::text[], %(kafka_partitions)b::integer[], %(first_offsets)b::bigint[], %(next_offsets)b::bigint[]
) AS batch (topic, kafka_partition, first_offset, next_offset)
JOIN outbox
    ON outbox.source_topic = batch.topic AND outbox.source_partition = batch.kafka_partition
    AND outbox.source_offset >= batch.first_offset AND outbox.source_offset < batch.next_offset
JOIN task_message
    ON task_message.tenant_key = outbox.tenant_key AND task_message.job_key = outbox.job_key
JOIN job ON job.tenant_key = outbox.tenant_key AND job.job_key = outbox.job_key
WHERE outbox.held_number = 0
ORDER BY outbox.source_topic, outbox.source_partition, outbox.source_offset, outbox.tenant_key, outbox.job_key
