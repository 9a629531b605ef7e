-- A condition of list_jobs where it does not search tenant by tenant.
AND job.tenant_key = (SELECT only_tenant.tenant_key FROM tenant AS only_tenant WHERE only_tenant.partition_id = %(partition_id)s)
