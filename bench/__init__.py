"""How fast the tracker is on this machine, as a ratio to what the machine can do at all.

`scenarios` has a module for each thing that is measured. `run` measures those that were asked for, with a
`session`: the `servers`, and the two contenders. These are the `ceiling`, which only consumes, produces and
commits, and the tracker (`tracker_process`), run as users run it.

A `workload` defines the jobs and messages of a measurement. A contender drains them as a `backlog` at full
speed (`drain`), or they come at a fixed rate (`flow`), or as a `mixture` for hours, which is sampled
(`samples`). `verify` checks the results.

`tables` shows an `outcome` to people, `report` writes it to a file, `summary` and `pictures` make what
belongs beside the file, `page` makes a page of several runs, and `compare` compares two.

`counted` does without a clock: it counts what fixed batches cost, and compares that with committed figures. A
`batch_applier` applies batches without Kafka.
"""
