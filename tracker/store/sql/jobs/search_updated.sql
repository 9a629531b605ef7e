-- A search of list_jobs by last update, which no index has of all jobs: those that have not completed, which are few, and the
-- first ones of the others, whose last update was their end. A job that an earlier version has completed may have no end:
-- such jobs are found by the same index, and sorted.
SELECT updated_job.*
FROM (
    (
{open}
    )
    UNION ALL
    (
{completed}
    )
    UNION ALL
    (
{without_end}
    )
) AS updated_job
ORDER BY {order}
LIMIT %(limit)s
