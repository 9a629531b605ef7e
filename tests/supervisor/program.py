"""A program that runs a supervisor over the children that its argument names, for tests to start and kill."""

import json
import sys
from collections.abc import Sequence
from functools import partial

from tracker import logs
from tracker.store.migrate import check_schema
from tracker.supervisor.children import ChildSpec, RestartPolicy
from tracker.supervisor.slots import SlotKeeper
from tracker.supervisor.supervisor import KeepSlots, Options, Supervisor


def main() -> int:
    wanted = json.loads(sys.argv[1])
    logs.configure("supervisor", logs.LogOptions("json", "info"))
    options = Options(
        shutdown_timeout_s=wanted["shutdown_timeout_s"],
        http=None if wanted["http_port"] is None else ("127.0.0.1", wanted["http_port"]),
        log=logs.LogOptions("json", "info"),
        restart_policy=RestartPolicy(**wanted["restart_policy"]),
    )
    return Supervisor(partial(_plan, wanted["children"]), options, _keep_slots(wanted["database_url"])).run()


def _plan(targets: dict[str, str], slots: Sequence[int]) -> list[ChildSpec]:
    specs = [
        ChildSpec(name, f"tests.supervisor.processes:{target}", is_worker=name.startswith("worker"))
        for name, target in targets.items()
    ]
    return specs + [
        ChildSpec(f"worker-{slot}", "tests.supervisor.processes:good", is_worker=True, slot=slot)
        for slot in slots
    ]


def _keep_slots(database_url: str | None) -> KeepSlots | None:
    if database_url is None:
        return None
    return partial(SlotKeeper, database_url, group_id="tracker", instance="host", count=2, check=check_schema)


if __name__ == "__main__":
    sys.exit(main())
