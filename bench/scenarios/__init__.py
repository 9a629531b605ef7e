"""What is measured: a module for each scenario, which has it as `SCENARIO`. This is the table of them."""

from bench.scenarios import complete, events, fan_in, job_each, nested, one_job, proxied
from bench.scenarios.scenario import Scenario

SCENARIOS: dict[str, Scenario] = {
    module.SCENARIO.name: module.SCENARIO
    for module in (proxied, complete, one_job, fan_in, nested, events, job_each)
}
