-- Works with programs from 0.2.0 on.
--
-- What each worker process does. Its supervisor writes the row every 5 s, and removes it when it stops. A row that is older
-- than 15 s belongs to a process that has died, and does not count.
CREATE TABLE worker_process (
    member_id          text PRIMARY KEY,           -- group, instance and slot
    host               text NOT NULL,
    slot               integer NOT NULL,
    version            text NOT NULL,              -- of the program
    ready              boolean NOT NULL,           -- it has joined the group, and nothing blocks it
    detail             text NOT NULL,              -- what it waits for, in the words of /readyz; '': nothing
    progress_time      timestamptz,                -- when it last finished something
    records_per_second float8 NOT NULL,
    stage_seconds      jsonb NOT NULL,             -- {"stage": seconds that batches were in it, for each second}
    kafka_partitions   jsonb NOT NULL,             -- [[topic, number, age in s of its oldest record that is not committed]]
    write_time         timestamptz NOT NULL
) WITH (fillfactor = 50);
ALTER TABLE kafka_progress
    ADD COLUMN record_time timestamptz;    -- of the last record that was applied; null: not known
ALTER TABLE task_message
    ADD COLUMN postponed_time timestamptz; -- when it could not be sent for the first time; null: that never happened
