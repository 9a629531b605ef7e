"""Reads the environment into `Settings`, and reports all mistakes in it at once."""

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

_ALL: tuple[Need, ...] = ("kafka", "database")


def load(environ: Mapping[str, str] = os.environ, *, need: Collection[Need] = _ALL) -> Settings:
    """Return the settings that these variables describe.

    `need` is what the caller is going to use: the variables must name the brokers, the database, or both. All
    that is set is checked, even if it is not needed. Only the variables and the files of secrets are read.

    :raises SettingsError: something is wrong; the error has a sentence for each mistake.
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
    """Return the values that are set, and their origins, by field."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for variable in VARIABLES:
        found = [(text, _value(variable, text, problems)) for text in _texts(variable, environ)]
        valid = [(text, value[0]) for text, value in found if value]
        if len(valid) == 2 and valid[0][1] != valid[1][1]:
            (new, _), (old, _) = valid
            problems.add(
                f"{new.variable} is {shown(new.value)} and {old.variable} is {shown(old.value)}: they set "
                "the same; make them equal, or leave one out."
            )
        if valid:
            origins[variable.field], values[variable.field] = valid[0][0].origin, valid[0][1]
    return values, origins


def _texts(variable: Variable, environ: Mapping[str, str]) -> Iterator[Text]:
    """Yield the texts of the variable and its alias. An empty alias counts as not set."""
    if variable.name in environ:
        yield Text(environ[variable.name], variable.name, variable.name)
    alias = variable.about.alias
    if alias and environ.get(alias, "").strip():
        yield Text(environ[alias], alias, alias)


def _value(variable: Variable, text: Text, problems: Problems) -> tuple[Any] | None:
    """Return the value of a text, in a tuple; if it is not allowed, add a problem and return None."""
    annotated: Any = Annotated[(variable.annotation, *variable.metadata)]
    try:
        return (TypeAdapter(annotated).validate_python(text.value),)
    except ValidationError:
        allowed = allowed_text(variable.annotation, variable.metadata, variable.about.unit)
        problems.add(f"{text.variable} is {shown(text.value)}: it must be {allowed}.")
        return None


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each unknown variable with the prefix, except those of Kafka properties."""
    known = {variable.name for variable in VARIABLES} | {database.URL, database.URL + FILE}
    for name in sorted(environ):
        if not name.startswith("TRACKER_") or name in known or name.startswith(kafka.PREFIX):
            continue
        near = nearest(name, known)
        if name.endswith(FILE) and name.removesuffix(FILE) in known:
            yield f"{name} is {shown(environ[name])}: only secrets can be read from a file."
        else:
            value = shown(environ[name], secret=looks_secret(name))
            hint = f"did you mean {near}?" if near else "`tracker config` lists the settings."
            yield f"{name} is {value}: no setting has this name; {hint}"


def _is_service_link(name: str, environ: Mapping[str, str]) -> bool:
    """Return whether Kubernetes has set this variable, for a service whose name begins with `tracker`.

    For a service `tracker-x`, each container of the namespace gets TRACKER_X_SERVICE_HOST, TRACKER_X_PORT and
    others. They are no mistake of the user.
    """
    match = re.fullmatch(r"(TRACKER\w*?)_(SERVICE_HOST|(?:SERVICE_)?PORT(?:_\w+)?)", name)
    if match is None or not {f"{match[1]}_SERVICE_HOST", f"{match[1]}_SERVICE_PORT"} <= environ.keys():
        return False
    return (
        match[2] != "PORT" or "://" in environ[name]
    )  # otherwise a user has set it, such as TRACKER_HTTP_PORT


def _contradictions(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for values that are valid by themselves, but not together."""
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
    """Yield a sentence for what is needed and not set; a wrong value has its sentence already."""
    named = (f"{kafka.PREFIX}BOOTSTRAP_SERVERS", f"{kafka.PREFIX}METADATA_BROKER_LIST")
    if "kafka" in need and not kafka.names_brokers(properties) and not any(name in environ for name in named):
        yield kafka.MISSING
    is_set = environ.get(database.URL) or database.URL + FILE in environ
    if "database" in need and not connection.names_a_database and not is_set:
        yield database.MISSING
