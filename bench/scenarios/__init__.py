"""The scenarios. Each has a module of its own, with the constant `SCENARIO`; this is their table."""

from bench.scenarios import (
    apply,
    bulk,
    cancel,
    ceiling,
    complete,
    events,
    fan_in,
    job_each,
    latency,
    lists,
    migrate,
    nested,
    one_job,
    peers,
    proxied,
    release,
    retention,
    scale,
    soak,
    tuning,
)
from bench.scenarios.scenario import Scenario

SCENARIOS: dict[str, Scenario] = {
    module.SCENARIO.name: module.SCENARIO
    for module in (
        proxied,
        complete,
        one_job,
        fan_in,
        nested,
        events,
        job_each,
        release,
        latency,
        cancel,
        retention,
        lists,
        bulk,
        migrate,
        tuning,
        apply,
        ceiling,
        scale,
        peers,
        soak,
    )
}


def usual_names(*, quick: bool) -> list[str]:
    """Return the scenarios of a run that names none."""
    return [each.name for each in SCENARIOS.values() if (each.quick if quick else each.usual)]
