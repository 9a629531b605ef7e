-- A condition on jobs: they have a label with this key, and any value, also null.
EXISTS (
    SELECT
    FROM label
    WHERE label.tenant_key = job.tenant_key AND label.job_key = job.job_key AND label.label_key = {key}::text
    {fence}
)
