"""The use cases: submit, query, wait for and change jobs. They do no I/O.

`job` has what goes in and comes out. Each verb of `submit`, `query` and `change` is written once, as a
generator of steps (`tracker.store.steps`); `tracker.client` runs them, with threads or with asyncio.
"""
