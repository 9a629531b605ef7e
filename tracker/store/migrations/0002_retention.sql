-- Jobs that retention has removed while they still had tasks stored: a job with a million failed tasks is gone at
-- once, and its tasks go in steps. Nothing refers to a job by its key any more then, so nobody sees them.
CREATE TABLE removed_job (
    tenant_key integer NOT NULL,
    job_key    bigint NOT NULL,
    PRIMARY KEY (tenant_key, job_key)
);
