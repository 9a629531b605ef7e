-- Works with programs from 0.2.0 on.
--
-- Records that nobody can receive, over which `tracker adopt --skip` has the workers step: a batch that cannot be
-- unpacked, say. A row goes once what is after it is known to be published.
CREATE TABLE record_skip (
    topic text NOT NULL,
    kafka_partition integer NOT NULL,
    first_offset bigint NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset > first_offset),
    reason text NOT NULL,
    PRIMARY KEY (topic, kafka_partition, first_offset)
);
