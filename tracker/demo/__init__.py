"""`tracker demo`: real jobs through a real Kafka and PostgreSQL, with something to look at.

`jobs` has the jobs that are submitted, and their expected outcome. `servers` starts the servers, `processes`
runs the tracker and the workers of `examples/` as users run them, `screen` shows the progress of the jobs,
`results` reads the results, and `outcome` compares them with what is expected. `demo` runs these in order.
"""
