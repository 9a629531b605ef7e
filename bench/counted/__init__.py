"""What fixed batches cost, counted instead of timed, and compared with committed figures.

`batches` are the fixed batches. `count` sends them through decoding, fold and store, and counts. `run` does
it on a PostgreSQL of its own. `committed` reads and writes ``committed.toml``, and compares.
"""
