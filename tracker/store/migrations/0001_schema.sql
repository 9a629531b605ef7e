-- Everything that the tracker stores, in a schema of its own.
--
-- The tenant comes first: a partition ID has a small integer key (tenant_key), and that key leads
-- every primary key and unique key of a table that holds a tenant's data, and every join carries it.
-- So the tables can be spread by tenant over hash partitions, or over machines with Citus, as they are.
-- Reference tables, which are small and have no tenant: tenant, deployment, kafka_progress.
--
-- There are no foreign keys: a check costs about 5 µs a row, and every row goes in bulk; one statement
-- (delete_jobs.sql) removes a job with all that belongs to it, and a test looks for orphans.

CREATE TABLE tenant (
    tenant_key   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partition_id text NOT NULL UNIQUE,
    suspended    boolean NOT NULL DEFAULT false  -- its jobs are stored, not sent
);

-- One row. A database serves one consumer group: progress and outbox speak of that group's offsets.
CREATE TABLE deployment (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    database_id uuid NOT NULL DEFAULT gen_random_uuid(),  -- goes into the metadata of committed offsets
    group_id    text,                                     -- set by the first run
    last_send_number bigint NOT NULL DEFAULT 0,           -- the scheduler's: the highest number given to an outbox row
    sent_number bigint NOT NULL DEFAULT 0                 -- up to here they are known to be published
);
INSERT INTO deployment DEFAULT VALUES;

-- How far each Kafka partition of the tracking topics has been applied.
CREATE TABLE kafka_progress (
    topic            text NOT NULL,
    kafka_partition  integer NOT NULL,
    next_offset      bigint NOT NULL,            -- records below it are applied
    published_offset bigint NOT NULL,            -- records below it are known to be published; the rest may come again
    topic_id         text NOT NULL DEFAULT '',   -- Kafka's; '': not known. Tells a topic from one made anew under its name
    withheld         bytea NOT NULL DEFAULT '',  -- bit i: record published_offset + i was dropped or held, and so it is when it comes again
    refused          jsonb NOT NULL DEFAULT '{}',-- {"offset": ["reason", "detail"]}: dead letters that the record alone does not decide
    PRIMARY KEY (topic, kafka_partition)
) WITH (fillfactor = 50);

-- A sequence, not an identity column: PostgreSQL has those on partitioned tables only since 17.
CREATE SEQUENCE job_job_key_seq;
CREATE TABLE job (
    tenant_key       integer NOT NULL,
    job_key          bigint NOT NULL DEFAULT nextval('job_job_key_seq'),
    job_id           text COLLATE "C" NOT NULL,
    -- 0 Waiting, 1 Active, 2 Paused, 3 Failed, 4 Cancelled, 5 Completed: it never falls back, except from Paused to Active
    status           smallint NOT NULL DEFAULT 0 CHECK (status BETWEEN 0 AND 5),
    percentage       integer NOT NULL DEFAULT 0,  -- millionths of a percent: sums stay exact in any order
    create_time      timestamptz NOT NULL DEFAULT now(),
    last_update_time timestamptz NOT NULL DEFAULT now(),
    content_hash     bytea NOT NULL,              -- of all that was submitted: tells a repetition from a conflict
    failure_summary  text,                        -- the first failed tasks' details, a JSON object a line; bounded
    name             text NOT NULL DEFAULT '',
    description      text NOT NULL DEFAULT '',
    external_data    text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_key, job_key),
    UNIQUE (tenant_key, job_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
-- For lists, newest first. Not on status or last_update_time: those change with every batch, and an
-- indexed column that changes costs the update in place (HOT).
CREATE INDEX job_create_time ON job (tenant_key, create_time, job_key);

CREATE TABLE label (
    tenant_key  integer NOT NULL,
    job_key     bigint NOT NULL,
    label_key   text NOT NULL,
    label_value text NOT NULL,
    PRIMARY KEY (tenant_key, job_key, label_key)
);
CREATE INDEX label_by_value ON label (tenant_key, label_key, label_value, job_key);

-- A job that waits for another. The prerequisite is named, not keyed: it need not exist yet.
-- The row goes when the prerequisite completes, or the dependent is cancelled, deleted or failed.
CREATE TABLE prerequisite (
    tenant_key          integer NOT NULL,
    prerequisite_job_id text COLLATE "C" NOT NULL,
    job_key             bigint NOT NULL,  -- the dependent
    PRIMARY KEY (tenant_key, prerequisite_job_id, job_key)
);
-- The whole key again: whichever of the two indexes a statement takes, an edge is found in one step.
CREATE INDEX prerequisite_of_job ON prerequisite (tenant_key, job_key, prerequisite_job_id);

-- The task message of a job that has not been sent. Apart from job, so that prerequisites that complete
-- count down here without touching the hot row. Locked after job, in key order.
CREATE TABLE pending_task (
    tenant_key       integer NOT NULL,
    job_key          bigint NOT NULL,
    unmet            integer NOT NULL,  -- prerequisites that have not completed
    eligible_time    timestamptz,       -- when the scheduler may send it; null while prerequisites are unmet,
                                        -- or when the batch that met the last one sends it itself
    paused           boolean NOT NULL DEFAULT false,
    resumed          boolean NOT NULL DEFAULT false,  -- paused while Waiting: once resumed it is Active, and yet to be sent
    delay_s          integer NOT NULL DEFAULT 0,
    task_classifier  text NOT NULL,
    task_api_version integer NOT NULL,
    task_data        bytea NOT NULL,
    task_pipe        text NOT NULL,
    target_pipe      text,
    correlation_id   bytea,             -- UTF-8, of the message that completed the last prerequisite; not text: it may hold NUL
    PRIMARY KEY (tenant_key, job_key)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
-- What the scheduler looks for.
CREATE INDEX pending_task_eligible ON pending_task (tenant_key, eligible_time, job_key)
    WHERE eligible_time IS NOT NULL AND NOT paused;

-- Messages of a paused job, in the order in which they came (held_number).
CREATE SEQUENCE held_message_held_number_seq;
CREATE TABLE held_message (
    tenant_key    integer NOT NULL,
    job_key       bigint NOT NULL,
    held_number   bigint NOT NULL DEFAULT nextval('held_message_held_number_seq'),
    destination   text NOT NULL,
    message_key   bytea,
    message_value bytea NOT NULL,
    headers       bytea,    -- msgpack [[name, value], ...]; null: none. Not text: a name may hold NUL
    source_topic  text,     -- where it was read: for its dead letter, if the destination does not take it in the end
    source_partition integer,
    source_offset bigint,
    source_time_ms bigint,
    PRIMARY KEY (tenant_key, job_key, held_number)
);

-- Jobs that were resumed and whose held messages are still to be queued.
CREATE TABLE resumed_job (
    tenant_key integer NOT NULL,
    job_key    bigint NOT NULL,
    PRIMARY KEY (tenant_key, job_key)
);

-- What is decided to be sent, and not yet known to be published. The payload stays in pending_task or
-- held_message; all of it goes once the offset that proves the publication has been committed.
CREATE TABLE outbox (
    tenant_key      integer NOT NULL,
    job_key         bigint NOT NULL,
    held_number     bigint NOT NULL DEFAULT 0,  -- 0: the job's pending task
    send_number     bigint,   -- the scheduler's: published once its group's committed offset is not below it
    source_topic    text,     -- a batch's: the record that caused it; published once the group's committed
    source_partition integer, -- offset of that Kafka partition is above source_offset
    source_offset   bigint,
    task_id         text,     -- of the message that starts the job: the same in each attempt
    PRIMARY KEY (tenant_key, job_key, held_number),
    CHECK ((send_number IS NULL) <> (source_offset IS NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX outbox_send_number ON outbox (send_number) WHERE send_number IS NOT NULL;
CREATE INDEX outbox_source ON outbox (source_topic, source_partition, source_offset) WHERE source_offset IS NOT NULL;

-- A task that is more than a bit: one with children, with progress of its own, or failed. The job itself
-- is the task with the empty path. The row goes when the task completes: its bit in task_block says the rest.
CREATE TABLE task (
    tenant_key          integer NOT NULL,
    job_key             bigint NOT NULL,
    path                text COLLATE "C" NOT NULL,     -- '' the job, '3', '3.12'
    reported            integer NOT NULL DEFAULT 0,    -- highest progress reported, millionths of a percent
    failed              boolean NOT NULL DEFAULT false,-- reported failed
    last_child          integer NOT NULL DEFAULT 0,    -- highest index marked as last; 0: not known yet
    highest_child       integer NOT NULL DEFAULT 0,
    completed_children  integer NOT NULL DEFAULT 0,
    failed_children     integer NOT NULL DEFAULT 0,
    children_percentage bigint NOT NULL DEFAULT 0,     -- sum over the unfinished children, millionths of a percent
    PRIMARY KEY (tenant_key, job_key, path)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- 4096 children of a task: one bit a child, least significant first. Child i is bit (i - 1) % 4096 of
-- block (i - 1) / 4096. Reporting is an OR: repeatable, in any order.
CREATE TABLE task_block (
    tenant_key integer NOT NULL,
    job_key    bigint NOT NULL,
    path       text COLLATE "C" NOT NULL,   -- of the parent
    block      integer NOT NULL,
    completed  bytea NOT NULL,
    tracked    bytea NOT NULL DEFAULT '',   -- children that have a row in task
    PRIMARY KEY (tenant_key, job_key, path, block)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- The details of each failed task, until it completes.
CREATE TABLE task_failure (
    tenant_key      integer NOT NULL,
    job_key         bigint NOT NULL,
    path            text COLLATE "C" NOT NULL,
    failure_id      text NOT NULL,
    failure_time_ms bigint NOT NULL,   -- since 1970
    failure_source  text NOT NULL,
    failure_message text NOT NULL,
    PRIMARY KEY (tenant_key, job_key, path)
);

-- What the planner is to believe, whatever the tables held when they were analysed last: of tables with several
-- indexes it would otherwise take the wrong one, if each tenant had but one row then, or all waited for the
-- same job.
ALTER TABLE job ALTER tenant_key SET (n_distinct = 100);
ALTER TABLE prerequisite ALTER tenant_key SET (n_distinct = 100),
    ALTER prerequisite_job_id SET (n_distinct = -0.5), ALTER job_key SET (n_distinct = -0.5);
