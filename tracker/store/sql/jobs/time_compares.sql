-- A condition on jobs: how the time compares with one in milliseconds since 1970.
{time} {operator} to_timestamp({value}::bigint / 1000.0)
