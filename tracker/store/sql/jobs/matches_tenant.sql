-- A condition on jobs, where the search does not have the table of tenants: they have this partition ID.
job.tenant_key = (SELECT only_tenant.tenant_key FROM tenant AS only_tenant WHERE only_tenant.partition_id = {value}::text)
