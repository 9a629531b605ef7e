-- Keep the messages of paused jobs, in the order in which they came. The jobs are locked, so a resume
-- finds all of them or comes before.
INSERT INTO held_message (tenant_key, job_key, destination, message_key, message_value, headers)
SELECT held.tenant_key, held.job_key, held.destination, held.message_key, held.message_value, held.headers
FROM unnest(
    %(tenant_keys)b::integer[], %(job_keys)b::bigint[], %(destinations)b::text[], %(message_keys)b::bytea[],
    %(message_values)b::bytea[], %(headers)b::bytea[]
) WITH ORDINALITY AS held (tenant_key, job_key, destination, message_key, message_value, headers, place)
ORDER BY held.place
