"""`tracker run`: the workers, and what watches them."""


def run() -> int:
    """Track jobs: start the workers, watch them, and stop them on SIGTERM or Ctrl-C.

    The settings are read from the environment; `tracker config` shows them.
    """
    from tracker.settings import load
    from tracker.supervisor.run import run as run_supervisor

    return run_supervisor(load())
