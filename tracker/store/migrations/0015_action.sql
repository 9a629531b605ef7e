-- Works with programs from 0.2.0 on.
--
-- What people have done to jobs: a row for each command, or call of a client, that has changed any. The jobs point to the last
-- one that has changed them.
CREATE TABLE action (
    action_key  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action_time timestamptz NOT NULL DEFAULT now(),
    user_name   text NOT NULL,    -- '': nobody knows
    verb        text NOT NULL,    -- cancel, pause, resume, retry, delete
    filter      text,             -- as it was given; null: the jobs were named
    job_count   bigint NOT NULL   -- jobs that were changed
);
ALTER TABLE job ADD COLUMN action_key bigint;
