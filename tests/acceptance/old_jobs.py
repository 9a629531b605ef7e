"""Makes jobs old, for retention."""

from tests.support.deployment import Deployment

_AGE = "UPDATE job SET create_time = now() - interval '2 h', last_update_time = now() - interval '2 h'"


def make_old(deployment: Deployment, *job_ids: str) -> None:
    """Let two hours pass for jobs."""
    deployment.database.execute(f"{_AGE} WHERE job_id = ANY (%s)".encode(), [list(job_ids)])
