-- Hold messages of paused jobs, in the order in which they came. The jobs are locked, so a resume either finds all
-- of the messages or comes before them.
INSERT INTO held_message (tenant_key, job_key, destination, message_key, message_value, headers,
                          source_topic, source_partition, source_offset, source_time_ms)
SELECT held.tenant_key, held.job_key, held.destination, held.message_key, held.message_value, held.headers,
       held.source_topic, held.source_partition, held.source_offset, held.source_time_ms
FROM unnest(
    %(tenant_keys)b::integer[], %(job_keys)b::bigint[], %(destinations)b::text[], %(message_keys)b::bytea[],
    %(message_values)b::bytea[], %(headers)b::bytea[],
    %(source_topics)b::text[], %(source_partitions)b::integer[], %(source_offsets)b::bigint[],
    %(source_times_ms)b::bigint[]
) WITH ORDINALITY AS held (tenant_key, job_key, destination, message_key, message_value, headers,
                           source_topic, source_partition, source_offset, source_time_ms, ordinality)
ORDER BY held.ordinality
