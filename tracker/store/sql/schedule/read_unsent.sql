-- Return what is to be sent next, in the order of the numbers, up to a number of rows and of bytes. A row whose
-- payload is gone (its job was cancelled or deleted) has no task_pipe and no destination.
WITH next_send AS (
    SELECT outbox.send_number, outbox.tenant_key, outbox.job_key, outbox.held_number, outbox.task_id
    FROM outbox
    WHERE outbox.send_number > %(sent_number)b::bigint
    ORDER BY outbox.send_number
    LIMIT %(limit)b
),
payload AS (
    SELECT next_send.send_number, next_send.tenant_key, next_send.job_key, next_send.held_number,
           tenant.partition_id, job.job_id,
           task_message.task_classifier, task_message.task_api_version, task_message.task_data,
           task_message.task_pipe, task_message.target_pipe, task_message.correlation_id, next_send.task_id,
           task_message.delay_s > 0 AS delayed,
           held_message.destination, held_message.message_key, held_message.message_value, held_message.headers,
           held_message.source_topic, held_message.source_partition, held_message.source_offset,
           held_message.source_time_ms,
           sum(coalesce(octet_length(task_message.task_data), 0)
               + coalesce(octet_length(held_message.message_value), 0))
               OVER (ORDER BY next_send.send_number)
               - coalesce(octet_length(task_message.task_data), 0)
               - coalesce(octet_length(held_message.message_value), 0) AS bytes_before
    FROM next_send
    LEFT JOIN tenant ON tenant.tenant_key = next_send.tenant_key
    LEFT JOIN job ON job.tenant_key = next_send.tenant_key AND job.job_key = next_send.job_key
    LEFT JOIN task_message
        ON task_message.tenant_key = next_send.tenant_key AND task_message.job_key = next_send.job_key
        AND next_send.held_number = 0
    LEFT JOIN held_message
        ON held_message.tenant_key = next_send.tenant_key AND held_message.job_key = next_send.job_key
        AND held_message.held_number = next_send.held_number
)
SELECT send_number, tenant_key, job_key, partition_id, job_id, task_classifier, task_api_version, task_data,
       task_pipe, target_pipe, correlation_id, task_id, delayed,
       destination, message_key, message_value, headers,
       source_topic, source_partition, source_offset, source_time_ms
FROM payload
WHERE bytes_before < %(limit_bytes)b::bigint
ORDER BY send_number
