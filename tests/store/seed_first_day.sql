-- A database on its first day: sixty tenants with a job each. What is known of the tables when they are
-- analysed now is far from what they hold once they are full.
INSERT INTO tenant (partition_id) SELECT 'first-' || n FROM generate_series(1, 60) AS n;
INSERT INTO job (tenant_key, job_key, job_id, content_hash) SELECT n, n, 'first', '' FROM generate_series(1, 60) AS n;
INSERT INTO prerequisite (tenant_key, prerequisite_job_id, job_key) SELECT n, 'none', n FROM generate_series(1, 60) AS n;
INSERT INTO task_message (tenant_key, job_key, unmet, eligible_time, task_classifier, task_api_version, task_data, task_pipe)
SELECT n, n, 0, now(), 'Sort', 1, '', 'sort-in' FROM generate_series(1, 60) AS n;
INSERT INTO held_message (tenant_key, job_key, destination, message_value) SELECT n, n, '', '' FROM generate_series(1, 60) AS n;
INSERT INTO outbox (tenant_key, job_key, send_number) SELECT n, n, n FROM generate_series(1, 30) AS n;
INSERT INTO outbox (tenant_key, job_key, source_topic, source_partition, source_offset)
SELECT n, n, 'tracking', n, n FROM generate_series(31, 60) AS n;
INSERT INTO sibling_tasks (tenant_key, job_key, path, number, tasks) SELECT n, n, '', 0, '' FROM generate_series(1, 60) AS n;
INSERT INTO task_block (tenant_key, job_key, path, block, completed) SELECT n, n, '', 0, '' FROM generate_series(1, 60) AS n;
INSERT INTO task_failure (tenant_key, job_key, path, failure_id, failure_time_ms, failure_source, failure_message)
SELECT n, n, '', '', 0, '', '' FROM generate_series(1, 60) AS n;
INSERT INTO kafka_progress (topic, kafka_partition, next_offset, published_offset) VALUES ('tracking', 0, 0, 0);
