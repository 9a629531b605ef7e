-- A condition on jobs: they have these names. The search has the table of tenants.
(tenant.partition_id, job.job_id) IN (
    SELECT * FROM unnest({partition_ids}::text[], {job_ids}::text[])
)
