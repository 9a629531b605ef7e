-- A condition on jobs: the percentage is one of these, in hundredths of a percent, as it is shown.
(job.percentage + 5000) / 10000 = ANY ({value}::numeric[])
