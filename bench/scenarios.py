"""The table of what is measured: a line for each scenario."""

from dataclasses import dataclass

from bench.workload import Topics, Workload


@dataclass(frozen=True)
class Scenario:
    """Messages on tasks of `jobs` jobs, which lie ready and are worked off as fast as it goes.

    `reach` is the ratio to the ceiling that the tracker is to reach.
    """

    name: str
    what: str
    reach: float
    jobs: int
    completes: bool

    def workload(self, topics: Topics, messages: int, seed: int, *, prefix: str = "job") -> Workload:
        """Return the workload with about as many messages: at least one a job, the same number for each."""
        tasks = max(1, round(messages / self.jobs))
        return Workload(
            topics, jobs=self.jobs, tasks=tasks, completes=self.completes, seed=seed, prefix=prefix
        )


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("proxied", "tasks in progress: look-up and forward", 0.85, jobs=200, completes=False),
        Scenario("complete", "each message completes one task of 200 jobs", 0.8, jobs=200, completes=True),
    )
}
