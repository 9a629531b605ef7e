-- Store tasks that a batch has changed.
INSERT INTO task (tenant_key, job_key, path, reported, failed, last_child, highest_child,
                  completed_children, failed_children, children_percentage)
SELECT *
FROM unnest(
    %(tenant_keys)b::integer[], %(job_keys)b::bigint[], %(paths)b::text[], %(reported)b::integer[],
    %(failed)b::boolean[], %(last_child)b::integer[], %(highest_child)b::integer[],
    %(completed_children)b::integer[], %(failed_children)b::integer[], %(children_percentage)b::bigint[]
)
ON CONFLICT (tenant_key, job_key, path) DO UPDATE
SET reported = excluded.reported,
    failed = excluded.failed,
    last_child = excluded.last_child,
    highest_child = excluded.highest_child,
    completed_children = excluded.completed_children,
    failed_children = excluded.failed_children,
    children_percentage = excluded.children_percentage
