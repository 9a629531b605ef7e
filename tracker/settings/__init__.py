"""The settings: read once from the environment, checked, and documented in one place.

`model` declares each setting once, with its type, default, bounds, alias and meaning; the code that reads,
checks, shows and documents settings uses these. Kafka properties follow the rules of `kafka` and `refused`,
the connection string of PostgreSQL those of `database`. `reference` generates the page of the documentation.
"""

from tracker.settings.description import Row, describe
from tracker.settings.loading import Need, load
from tracker.settings.model import Settings

__all__ = ["Need", "Row", "Settings", "describe", "load"]
