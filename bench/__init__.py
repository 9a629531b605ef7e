"""How fast the tracker is on this machine, as a ratio to what the machine can do at all.

`scenarios` is the table of what is measured. A `workload` says which jobs and messages a scenario has, a
`load` lays the messages ready in Kafka, unseen. Two contenders then work them off in turn: the `ceiling`,
which only consumes, produces and commits, and the tracker (`tracked`), run as users run it. `drain` measures
one of them, `verify` looks at what came out, `rounds` repeats and interleaves, `report` tells.
"""
