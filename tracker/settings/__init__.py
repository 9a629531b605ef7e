"""The settings: read once from the environment, checked, and documented in one place.

`model` declares each setting once, with its type, default, bounds, alias and meaning; what is read, checked,
shown and documented all comes from there. Kafka properties pass through by the rules of `kafka` and
`refused`, the connection string of PostgreSQL by those of `database`. `reference` makes the page of the docs.
"""

from tracker.settings.description import Row, describe
from tracker.settings.loading import Need, load
from tracker.settings.model import Settings

__all__ = ["Need", "Row", "Settings", "describe", "load"]
