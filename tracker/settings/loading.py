"""Reads the environment into `Settings`, and says all that is wrong with it at once."""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import TypeAdapter, ValidationError

from tracker.errors import SettingsError
from tracker.settings import database, kafka
from tracker.settings.advice import advice
from tracker.settings.model import VARIABLES, Settings, Variable, as_text
from tracker.settings.sources import FILE, Problems, Text, looks_secret, nearest
from tracker.settings.values import allowed_text, shown

Need = Literal["kafka", "database"]

_EVERYTHING: tuple[Need, ...] = ("kafka", "database")


def load(environ: Mapping[str, str] = os.environ, *, need: Collection[Need] = _EVERYTHING) -> Settings:
    """Return the settings that these variables make, or raise SettingsError with all that is wrong with them.

    `need` says what the caller is going to use: brokers, the database, or both must then be named. Whatever
    is set is checked even if it is not needed. Reads nothing but the variables and the files of secrets.
    """
    environ = {name: text for name, text in environ.items() if not _is_service_link(name, environ)}
    problems = Problems()
    values, origins = _variables(environ, problems)
    problems.extend(_unknown(environ))
    problems.extend(_contradictions(values))
    properties = kafka.read(environ, problems)
    connection = database.read(environ, problems)
    problems.extend(_missing(environ, need, properties, connection))
    if problems.sentences:
        raise SettingsError(*problems.sentences)
    return Settings(
        **values,
        kafka=properties,
        database=connection,
        origins=tuple(origins.items()),
        warnings=advice(environ, properties, connection),
    )


def _variables(environ: Mapping[str, str], problems: Problems) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values that are set, and where each comes from, by field."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for variable in VARIABLES:
        found = [(text, _value(variable, text, problems)) for text in _texts(variable, environ)]
        sound = [(text, value[0]) for text, value in found if value]
        if len(sound) == 2 and sound[0][1] != sound[1][1]:
            (new, _), (old, _) = sound
            problems.add(
                f"{new.variable} is {shown(new.value)} and {old.variable} is {shown(old.value)}: they mean "
                "the same, and must be equal, or one of them left out."
            )
        if sound:
            origins[variable.field], values[variable.field] = sound[0][0].origin, sound[0][1]
    return values, origins


def _texts(variable: Variable, environ: Mapping[str, str]) -> Iterator[Text]:
    """Yield what the variable and its alias hold. An alias that is empty is as good as not set."""
    if variable.name in environ:
        yield Text(environ[variable.name], variable.name, variable.name)
    alias = variable.about.alias
    if alias and environ.get(alias, "").strip():
        yield Text(environ[alias], alias, alias)


def _value(variable: Variable, text: Text, problems: Problems) -> tuple[Any] | None:
    """Return the value that a text stands for, in a tuple; None, and a problem, where it is not allowed."""
    annotated: Any = Annotated[(variable.annotation, *variable.metadata)]
    try:
        return (TypeAdapter(annotated).validate_python(text.value),)
    except ValidationError:
        allowed = allowed_text(variable.annotation, variable.metadata, variable.about.unit)
        problems.add(f"{text.variable} is {shown(text.value)}: it must be {allowed}.")
        return None


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    """Name the variables that have the prefix and no meaning, but for those of Kafka properties."""
    known = {variable.name for variable in VARIABLES} | {database.URL, database.URL + FILE}
    for name in sorted(environ):
        if not name.startswith("TRACKER_") or name in known or name.startswith(kafka.PREFIX):
            continue
        near = nearest(name, known)
        if name.endswith(FILE) and name.removesuffix(FILE) in known:
            yield f"{name} is {shown(environ[name])}: only secrets can be read from a file."
        else:
            value = shown(environ[name], secret=looks_secret(name))
            hint = (
                f"did you mean {near}?" if near else "the variables that do are listed by `tracker config`."
            )
            yield f"{name} is {value}: no setting has this name; {hint}"


def _is_service_link(name: str, environ: Mapping[str, str]) -> bool:
    """Whether Kubernetes set this variable, to tell of a service whose name begins with `tracker`.

    For a service `tracker-x`, each container of the namespace gets TRACKER_X_SERVICE_HOST, TRACKER_X_PORT and
    others, which are nobody's mistake.
    """
    match = re.fullmatch(r"(TRACKER\w*?)_(SERVICE_HOST|(?:SERVICE_)?PORT(?:_\w+)?)", name)
    if match is None or not {f"{match[1]}_SERVICE_HOST", f"{match[1]}_SERVICE_PORT"} <= environ.keys():
        return False
    return match[2] != "PORT" or "://" in environ[name]  # else it is a user's, such as TRACKER_HTTP_PORT


def _contradictions(values: Mapping[str, Any]) -> Iterator[str]:
    """Say which values are sound by themselves but not together."""
    fields = Settings.model_fields
    topics = values.get("topics", fields["topics"].default)
    dead_letters = values.get("dead_letter_topic", fields["dead_letter_topic"].default)
    if dead_letters.lower() in {topic.lower() for topic in topics}:
        yield (
            f"TRACKER_DEAD_LETTER_TOPIC is {shown(dead_letters)} and TRACKER_TOPICS is "
            f"{shown(as_text(topics))}: the dead-letter topic must not be a tracking topic."
        )


def _missing(
    environ: Mapping[str, str],
    need: Collection[Need],
    properties: tuple[kafka.KafkaProperty, ...],
    connection: database.Database,
) -> Iterator[str]:
    """Name what is needed and not set; what is set wrongly has been complained of already."""
    named = (f"{kafka.PREFIX}BOOTSTRAP_SERVERS", f"{kafka.PREFIX}METADATA_BROKER_LIST")
    if "kafka" in need and not kafka.names_brokers(properties) and not any(name in environ for name in named):
        yield kafka.MISSING
    tried = environ.get(database.URL) or database.URL + FILE in environ
    if "database" in need and not connection.names_a_database and not tried:
        yield database.MISSING
