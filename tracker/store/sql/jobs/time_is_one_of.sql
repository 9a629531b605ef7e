-- A condition on jobs: the time is one of these, in milliseconds since 1970.
floor(extract(epoch FROM {time}) * 1000)::bigint = ANY ({value}::bigint[])
