-- The tenants of search_each_tenant: this one.
(SELECT tenant_key, partition_id FROM tenant WHERE tenant_key = {tenant_key}::integer) AS tenant
