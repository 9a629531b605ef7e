"""A number that is smaller in the processes of the fault tests than in production."""

ASK_AGAIN_S = 2.0
"""How long a worker waits before it reads the dead-letter topic's limit again; a minute in production."""
