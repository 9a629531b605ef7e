"""`tracker run`: the workers, and what watches them."""


def run() -> int:
    """Track jobs, until SIGTERM or Ctrl-C.

    This starts workers and a scheduler, and watches them. The settings are read from the environment;
    `tracker config` shows them.
    """
    from tracker.settings import load
    from tracker.supervisor.run import run as run_supervisor

    return run_supervisor(load())
