-- A condition on jobs: the partition ID passes a test. Where the search has the table of tenants, the test alone is enough.
job.tenant_key IN (SELECT wanted_tenant.tenant_key FROM tenant AS wanted_tenant WHERE {test})
