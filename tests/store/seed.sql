-- Fills the tables as in a database that has been in use for long: 300,000 jobs of 41 tenants.
--
-- Tenants 1 to 40 have 5,000 jobs each, job-1 to job-5000; n is the last digit of the job's number:
--   0 to 3 completed; 4 failed; 5 and 6 active, with tasks, blocks and now and then a failure;
--   7 waiting to be sent in an hour; 8 paused before it was sent; 9 waiting for the 8 before it, and for the
--   9 before it: a chain of 500.
-- Tenant 41 is suspended, and has 100,000 jobs that could be sent.
-- The outbox has 20,000 rows of batches and 20,000 of the scheduler; 20 jobs hold 5,000 messages each.
INSERT INTO tenant (partition_id, suspended) SELECT 'tenant-' || n, n = 41 FROM generate_series(1, 41) AS n;

INSERT INTO job (tenant_key, job_key, job_id, status, percentage, content_hash, end_time)
SELECT tenant, (tenant - 1) * 5000 + n, 'job-' || n,
       (ARRAY[5, 5, 5, 5, 3, 1, 1, 0, 2, 0])[n % 10 + 1], 0, '\x0123456789abcdef0123456789abcdef',
       CASE WHEN n % 10 < 4 THEN now() END
FROM generate_series(1, 40) AS tenant, generate_series(1, 5000) AS n;
INSERT INTO job (tenant_key, job_key, job_id, content_hash)
SELECT 41, 1000000 + n, 'job-' || n, '\x0123456789abcdef0123456789abcdef' FROM generate_series(1, 100000) AS n;

INSERT INTO label (tenant_key, job_key, label_key, label_value)
SELECT tenant, (tenant - 1) * 5000 + n, 'colour', (ARRAY['red', 'green', 'blue'])[n % 3 + 1]
FROM generate_series(1, 40) AS tenant, generate_series(1, 5000) AS n;

INSERT INTO prerequisite (tenant_key, prerequisite_job_id, job_key)
SELECT tenant, 'job-' || n - step, (tenant - 1) * 5000 + n
FROM generate_series(1, 40) AS tenant, generate_series(9, 5000, 10) AS n, unnest(ARRAY[1, 10]) AS step
WHERE n > step;

INSERT INTO task_message (tenant_key, job_key, unmet, eligible_time, paused, task_classifier,
                          task_api_version, task_data, task_pipe, target_pipe)
SELECT tenant, (tenant - 1) * 5000 + n,
       CASE n % 10 WHEN 9 THEN CASE WHEN n > 10 THEN 2 ELSE 1 END ELSE 0 END,
       CASE n % 10 WHEN 7 THEN now() + interval '1 hour' WHEN 8 THEN now() END,
       n % 10 = 8, 'Sort', 1, '\x7b7d', 'sort-in', 'sort-out'
FROM generate_series(1, 40) AS tenant, generate_series(1, 5000) AS n
WHERE n % 10 >= 7;
INSERT INTO task_message (tenant_key, job_key, unmet, eligible_time, task_classifier, task_api_version,
                          task_data, task_pipe)
SELECT 41, 1000000 + n, 0, now(), 'Sort', 1, '\x7b7d', 'sort-in' FROM generate_series(1, 100000) AS n;

INSERT INTO held_message (tenant_key, job_key, destination, message_value)
SELECT tenant, (tenant - 1) * 5000 + 8, 'sort-in', '\x7b7d'
FROM generate_series(1, 20) AS tenant, generate_series(1, 5000);

-- Of jobs that are active: sent, and not known to be.
INSERT INTO outbox (tenant_key, job_key, source_topic, source_partition, source_offset, task_id)
SELECT tenant, (tenant - 1) * 5000 + n, 'tracking', tenant % 4, n, 'task'
FROM generate_series(1, 40) AS tenant, generate_series(5, 5000, 10) AS n;
INSERT INTO outbox (tenant_key, job_key, send_number, task_id)
SELECT tenant, (tenant - 1) * 5000 + n, (tenant - 1) * 500 + n / 10 + 1, 'task'
FROM generate_series(1, 40) AS tenant, generate_series(6, 5000, 10) AS n;
INSERT INTO task_message (tenant_key, job_key, unmet, sent_time, task_classifier, task_api_version, task_data, task_pipe)
SELECT tenant_key, job_key, 0, now(), 'Sort', 1, '\x7b7d', 'sort-in' FROM outbox;
UPDATE deployment SET last_send_number = 20000, sent_number = 0;
INSERT INTO action (user_name, verb, job_count) SELECT 'ann', 'cancel', 1 FROM generate_series(1, 10000);
INSERT INTO job_note (tenant_key, job_key, dropped) SELECT tenant_key, job_key, 1 FROM job WHERE status IN (1, 3);

-- Active jobs have the tasks 1 to 3, of which 1 and 2 have children.
INSERT INTO sibling_tasks (tenant_key, job_key, path, number, tasks)
SELECT tenant_key, job_key, path, 0, '\x80' FROM job, unnest(ARRAY['', '1', '2']) AS path WHERE status = 1;
INSERT INTO task_failure (tenant_key, job_key, path, failure_id, failure_time_ms, failure_source, failure_message)
SELECT tenant_key, job_key, '3', 'broken', 0, 'sorter', 'out of order' FROM job WHERE status = 1 AND job_key % 50 = 5;
INSERT INTO task_block (tenant_key, job_key, path, block, completed)
SELECT tenant_key, job_key, path, block, '\x01'
FROM sibling_tasks, generate_series(1, 2) AS block;

-- Of jobs that retention has removed: 40, with 500 rows in each table.
INSERT INTO removed_job (tenant_key, job_key) SELECT tenant, 3000000 + tenant FROM generate_series(1, 40) AS tenant;
INSERT INTO sibling_tasks (tenant_key, job_key, path, number, tasks)
SELECT tenant_key, job_key, n::text, 0, '\x80' FROM removed_job, generate_series(1, 500) AS n;
INSERT INTO task_block (tenant_key, job_key, path, block, completed)
SELECT tenant_key, job_key, '', n, '\x01' FROM removed_job, generate_series(1, 500) AS n;
INSERT INTO task_failure (tenant_key, job_key, path, failure_id, failure_time_ms, failure_source, failure_message)
SELECT tenant_key, job_key, n::text, 'broken', 0, 'sorter', 'out of order'
FROM removed_job, generate_series(1, 500) AS n;

INSERT INTO dropped_work (tenant_key, kind, reason, amount, job_id)
SELECT tenant, 'pending_task', 'cancelled', 1, 'job-8' FROM generate_series(1, 40) AS tenant, generate_series(1, 50);

INSERT INTO kafka_progress (topic, kafka_partition, next_offset, published_offset)
SELECT 'tracking', kafka_partition, 5001, 0 FROM generate_series(0, 63) AS kafka_partition;
SELECT setval('job_job_key_seq', 2000000);
