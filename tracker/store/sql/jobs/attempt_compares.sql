-- A condition on jobs: how the number of times that they have been started compares.
job.attempt {operator} {value}::bigint
