"""What a user's program and the command line call: submit, look at, wait for and change jobs.

`job` has what goes in and comes out. The verbs (`submit`, `look`, `change`) are written once, as generators
of `steps`, and `client` runs them, with threads or with asyncio.
"""
