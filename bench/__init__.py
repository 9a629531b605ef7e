"""How fast the tracker is on this machine, as a ratio to what the machine can do at all.

`scenarios` has a module for each thing that is measured, `run` does all that was asked for, and a `session`
is what scenarios measure with: `servers`, and the two contenders, the `ceiling`, which only consumes,
produces and commits, and the tracker (`tracked`), run as users run it.

A `workload` says which jobs and messages there are. They lie ready in Kafka, unseen (`load`), and are worked
off as fast as it goes (`drain`); or they come at a rate (`flow`), or as a `mixture` for hours, of which there
are `samples`. `verify` looks at what came out. An `outcome` is told by `tables`, `report` (the JSON file) and
`pictures`; `compare` tells two runs apart.
"""
