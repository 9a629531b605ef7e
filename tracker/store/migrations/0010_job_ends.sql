-- Works with programs from 0.2.0 on.
--
-- What is asked of a job later: what it waited for, since when it is paused, when it ended, what ended it, and how often it
-- was started. All of it is unknown of jobs that were submitted, paused or ended before.
ALTER TABLE job
    ADD COLUMN prerequisite_job_ids text[],                 -- as submitted, whether they were met or not; null: none
    ADD COLUMN pause_time           timestamptz,            -- of a paused job
    ADD COLUMN end_time             timestamptz,            -- when it completed, was cancelled, or failed by propagation
    ADD COLUMN end_record           text,                   -- topic:kafkaPartition:offset of the record that completed it
    ADD COLUMN root_job_id          text COLLATE "C",       -- the failed job from which its failure was propagated
    ADD COLUMN attempt              integer NOT NULL DEFAULT 1, -- grows with each retry
    ADD COLUMN contradicted         boolean NOT NULL DEFAULT false; -- whether a child came after the last, or two last ones
