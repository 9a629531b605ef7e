-- Works with programs from 0.2.0 on.
--
-- The tasks among 32 siblings that are more than a bit: those with children, with progress of their own, or failed. A
-- batch of a large tree touches most of its tasks, and a row is read and written for 32 of them instead of one or two
-- for each. The job itself is child 0 of the path ''. A task goes when it completes, because its bit in the block says
-- the rest, and a row goes with its last task.
CREATE TABLE sibling_tasks (
    tenant_key integer NOT NULL,
    job_key    bigint NOT NULL,
    path       text COLLATE "C" NOT NULL,  -- of the parent: '' the job, '3', '3.12'
    number     integer NOT NULL,           -- children from 32 * number up to 32 * number + 31
    -- MessagePack: a map from the number of each child to an array of
    --   its highest progress reported, in millionths of a percent;
    --   whether it was reported failed;
    --   the highest index among its children that was marked as last; 0: not known yet;
    --   the highest index among its children;
    --   the number of its children that have completed;
    --   the number of its children that have failed;
    --   the sum of the percentages of its unfinished children, in millionths of a percent;
    --   a bit for each of its first 256 children, least significant first: whether it has completed;
    --   a bit for each of these: whether it has an entry as this one has.
    tasks      bytea NOT NULL,
    unknown    bigint NOT NULL DEFAULT 0,  -- bit i: task 32 * number + i has children, and their number is not known
    PRIMARY KEY (tenant_key, job_key, path, number)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, toast_tuple_target = 8160);

CREATE FUNCTION packed_integer(value bigint) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN value < 128 THEN substring(int8send(value) FROM 8)
        WHEN value < 65536 THEN '\xcd'::bytea || substring(int8send(value) FROM 7)
        WHEN value < 4294967296 THEN '\xce'::bytea || substring(int8send(value) FROM 5)
        ELSE '\xcf'::bytea || int8send(value)
    END
$$;
CREATE FUNCTION packed_bits(bits bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT '\xc4'::bytea || substring(int8send(length(first_bits)) FROM 8) || first_bits
    FROM (SELECT substring(coalesce(bits, ''::bytea) FROM 1 FOR 32)) AS first_block (first_bits)
$$;
INSERT INTO sibling_tasks (tenant_key, job_key, path, number, tasks, unknown)
SELECT tenant_key, job_key, parent_path, child / 32,
       '\xde'::bytea || substring(int8send(count(*)) FROM 7) || string_agg(packed, ''::bytea ORDER BY child),
       sum(CASE WHEN is_unknown THEN 1::bigint << (child % 32) ELSE 0 END)::bigint
FROM (
    SELECT
        task.tenant_key,
        task.job_key,
        coalesce(substring(task.path FROM '^(.*)[.]'), '') AS parent_path,
        coalesce(substring(task.path FROM '[0-9]+$')::integer, 0) AS child,
        task.highest_child > 0 AND task.last_child = 0 AS is_unknown,
        packed_integer(coalesce(substring(task.path FROM '[0-9]+$')::integer, 0))
            || '\x99'::bytea
            || packed_integer(task.reported)
            || CASE WHEN task.failed THEN '\xc3'::bytea ELSE '\xc2'::bytea END
            || packed_integer(task.last_child)
            || packed_integer(task.highest_child)
            || packed_integer(task.completed_children)
            || packed_integer(task.failed_children)
            || packed_integer(task.children_percentage)
            || packed_bits(task_block.completed)
            || packed_bits(task_block.tracked) AS packed
    FROM task
    LEFT JOIN task_block
        ON task_block.tenant_key = task.tenant_key AND task_block.job_key = task.job_key
        AND task_block.path = task.path AND task_block.block = 0
) AS stored_task
GROUP BY tenant_key, job_key, parent_path, child / 32;
DROP FUNCTION packed_integer, packed_bits;
DROP TABLE task;

-- The first 256 children of a task are in its entry: they are block 0. Block n has the children from
-- 4096 * (n - 1) + 1 on, except those.
DELETE FROM task_block WHERE block = 0 AND length(completed) <= 32 AND length(tracked) <= 32;
UPDATE task_block
SET completed = CASE
        WHEN length(completed) > 32 THEN decode(repeat('00', 32), 'hex') || substring(completed FROM 33) ELSE ''
    END,
    tracked = CASE
        WHEN length(tracked) > 32 THEN decode(repeat('00', 32), 'hex') || substring(tracked FROM 33) ELSE ''
    END
WHERE block = 0;
-- In two steps, because the key is checked for each row.
UPDATE task_block SET block = -(block + 1);
UPDATE task_block SET block = -block;
