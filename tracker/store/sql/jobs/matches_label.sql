-- A condition on jobs: they have a label with this key, and its value passes a test.
EXISTS (
    SELECT
    FROM label
    WHERE label.tenant_key = job.tenant_key AND label.job_key = job.job_key AND label.label_key = {key}::text
        AND {test}
    {fence}
)
