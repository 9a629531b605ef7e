"""The effective settings as rows for users: value, origin, default, meaning."""

from typing import NamedTuple

from tracker.settings import database
from tracker.settings.model import VARIABLES, Settings, as_text


class Row(NamedTuple):
    """One setting."""

    name: str
    value_masked: str
    origin: str  # `default`, the name of the variable, or for the file of a secret `VARIABLE_FILE=path`
    default: str
    meaning: str


def describe(settings: Settings) -> list[Row]:
    """Return all settings, then the Kafka properties and libpq variables that are set; secrets are masked."""
    return [*_kafka(settings), *_database(settings), *_plain(settings)]


def _plain(settings: Settings) -> list[Row]:
    origins = dict(settings.origins)
    return [
        Row(
            variable.name,
            as_text(getattr(settings, variable.field)),
            origins.get(variable.field, "default"),
            variable.default_text,
            variable.about.meaning,
        )
        for variable in VARIABLES
    ]


def _kafka(settings: Settings) -> list[Row]:
    clients = {"common": "all clients", "consumer": "consumers only", "producer": "producers only"}
    return [
        Row(
            item.variable,
            item.shown,
            item.origin,
            "",
            f"The Kafka property {item.name}, {clients[item.side]}.",
        )
        for item in settings.kafka
    ]


def _database(settings: Settings) -> list[Row]:
    connection = settings.database
    meaning = "Where PostgreSQL is, as a libpq connection string."
    return [
        Row(database.URL, connection.shown, connection.origin, "", meaning),
        *(
            Row(name, value, name, "", "Used by libpq if the connection string leaves it out.")
            for name, value in connection.libpq_variables
        ),
    ]
