-- A condition of find_keys: the jobs after one in the order of keys.
job.job_key > {value}::bigint
