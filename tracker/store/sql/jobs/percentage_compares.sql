-- A condition on jobs: how the percentage, in hundredths of a percent, as it is shown, compares.
(job.percentage + 5000) / 10000 {operator} {value}::numeric
