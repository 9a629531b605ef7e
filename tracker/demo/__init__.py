"""`tracker demo`: real jobs through a real Kafka and PostgreSQL, with something to look at.

`jobs` is what is submitted, and what has to come of it. `servers` brings up what it needs, `processes` runs
the tracker and the workers of `examples/` as users run them, `screen` shows how far the jobs are, `results`
reads what has arrived, and `outcome` says what happened and whether it is right. `demo` is the order of
events.
"""
