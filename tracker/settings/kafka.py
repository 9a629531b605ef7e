"""The librdkafka properties that a user has set: reads, checks, and selects them for each kind of client."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, SecretStr

from tracker.settings.refused import REFUSED, RESTRICTED
from tracker.settings.sources import (
    FILE,
    Problems,
    Text,
    is_file_variable,
    looks_secret,
    nearest,
    read_again,
    read_text,
)
from tracker.settings.values import shown

PREFIX = "TRACKER_KAFKA_"
MISSING = (
    "TRACKER_KAFKA_BOOTSTRAP_SERVERS is not set: "
    "it must be host:port of one or more brokers, with commas between."
)

Side = Literal["common", "consumer", "producer"]
Client = Literal["client", "consumer", "producer"]

_SIDES: Mapping[str, Side] = MappingProxyType({"CONSUMER_": "consumer", "PRODUCER_": "producer"})

SECRETS = frozenset(
    {
        "sasl.password",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.client.credentials.client.secret",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.pem",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
    }
)

_TRUTHS = MappingProxyType(
    {"true": "true", "yes": "true", "1": "true", "false": "false", "no": "false", "0": "false"}
)

_DECIDED_BY_BROKERS = ("session.timeout.ms", "heartbeat.interval.ms")


class Property(NamedTuple):
    """A property of librdkafka; a row of `librdkafka.tsv`."""

    name: str
    side: str  # C, P or * for both
    kind: str  # string, integer, float, boolean, enum or flags
    allowed: str  # `low..high`, or words with commas between
    alias_of: str

    @property
    def main_name(self) -> str:
        """The main name of the property, for all its names."""
        return self.alias_of or self.name

    @property
    def variable(self) -> str:
        """The name of its variable, without the prefix."""
        return self.name.upper().replace(".", "_")

    @property
    def reason_refused(self) -> str | None:
        """Why a user cannot set it, under any of its names; None if a user can."""
        same = (name for name, item in properties().items() if item.main_name == self.main_name)
        return next((REFUSED[name] for name in same if name in REFUSED), None)


class KafkaProperty(BaseModel):
    """A property that the user has set."""

    model_config = ConfigDict(frozen=True)

    name: str
    value: SecretStr  # masks every value, so that code that prints settings need not know which are secret
    side: Side
    origin: str
    path: str = ""  # of the file that holds the value, which is read again for each new client

    def current(self) -> str:
        """Return the present value; the value of the start, if the file has no usable one."""
        present = read_again(self.path) if self.path else None
        return self.value.get_secret_value() if present is None else present

    @property
    def variable(self) -> str:
        """The variable that sets it, or would set it if its value did not come from a file."""
        side = "" if self.side == "common" else self.side.upper() + "_"
        return PREFIX + side + properties()[self.name].variable

    @property
    def shown(self) -> str:
        """The value, masked if it is a secret."""
        return "***" if self.name in SECRETS else self.value.get_secret_value()


@cache
def properties() -> Mapping[str, Property]:
    """Return all properties of librdkafka that a variable can hold, by name."""
    table = files("tracker.settings").joinpath("librdkafka.tsv").read_text("utf-8")
    rows = (Property(*line.split("\t")) for line in table.splitlines())
    return MappingProxyType({row.name: row for row in rows})


@cache
def _by_variable() -> Mapping[str, Property]:
    return MappingProxyType({item.variable: item for item in properties().values()})


def secret_file_variables() -> Iterable[str]:
    """Yield the variables that can name the file of a Kafka secret."""
    for name in sorted(SECRETS):
        for side in ("", *_SIDES):
            yield f"{PREFIX}{side}{properties()[name].variable}_FILE"


def read(environ: Mapping[str, str], problems: Problems) -> tuple[KafkaProperty, ...]:
    """Return the properties that the environment sets, and add every mistake to `problems`."""
    found: list[KafkaProperty] = []
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        if is_file_variable(variable) and variable.removesuffix(FILE) in environ:
            continue  # read together with the variable without the suffix
        item, side = _find(variable)
        if item is None:
            problems.add(_unknown(variable, environ[variable]))
        elif reason := _misplaced(item, side):
            problems.add(f"{variable} is {shown(environ[variable], secret=item.name in SECRETS)}: {reason}.")
        elif text := read_text(environ, variable, problems, secret=item.name in SECRETS):
            value = _checked(item, text, problems)
            if value is not None:
                found.append(
                    KafkaProperty(name=item.name, value=value, side=side, origin=text.origin, path=text.path)
                )
    problems.extend(_contradictions(found))
    return tuple(found)


def effective(found: Iterable[KafkaProperty], client: Client) -> dict[str, str]:
    """Return the properties for a kind of client. Its own override the common ones, under any name."""
    sides = {"client": "*", "consumer": "*C", "producer": "*P"}[client]
    chosen: dict[str, KafkaProperty] = {}
    for side in ("common", client):
        for item in found:
            known = properties()[item.name]
            if item.side == side and known.side in sides:
                chosen[known.main_name] = item
    return {item.name: item.current() for item in chosen.values()}


def names_brokers(found: Iterable[KafkaProperty]) -> bool:
    """Return whether any broker is named."""
    return any(properties()[item.name].main_name == "metadata.broker.list" for item in found)


def _find(variable: str) -> tuple[Property | None, Side]:
    """Return the property and the side of a variable; try `_FILE` last, because names may end in it."""
    rest = variable.removeprefix(PREFIX)
    prefix = next((prefix for prefix in _SIDES if rest.startswith(prefix)), "")
    side = _SIDES.get(prefix, "common")
    name = rest.removeprefix(prefix)
    item = _by_variable().get(name)
    if item is None and is_file_variable(name):
        item = _by_variable().get(name.removesuffix(FILE))
        item = item if item and item.name in SECRETS else None
    return item, side


def _unknown(variable: str, value: str) -> str:
    plain, _ = _find(variable.removesuffix(FILE))
    if is_file_variable(variable) and plain:
        return f"{variable} is {shown(value)}: only secrets can be read from a file, not {plain.name}."
    near = nearest(variable, _settable_variables())
    meant = _find(near)[0] if near else None
    value = shown(value, secret=looks_secret(variable) or (meant is not None and meant.name in SECRETS))
    return f"{variable} is {value}: librdkafka has no such property" + (
        f"; did you mean {near}?" if near else "."
    )


def _settable_variables() -> list[str]:
    settable = [item for item in properties().values() if not item.reason_refused]
    plain = [PREFIX + side + item.variable for item in settable for side in ("", *_SIDES)]
    return [*plain, *secret_file_variables()]


def _misplaced(item: Property, side: Side) -> str:
    """Return why this property cannot be set, or not for this side; empty if it can."""
    if item.reason_refused:
        return f"{item.name} cannot be set, because {item.reason_refused}"
    if side == "common":
        return ""
    if item.main_name == "metadata.broker.list":
        return f"consumers and producers share one cluster, so it must be {PREFIX}{item.variable}"
    if item.side not in {"*", side[0].upper()}:
        other = "producers" if side == "consumer" else "consumers"
        return f"{item.name} is a property of {other}"
    return ""


def _checked(item: Property, text: Text, problems: Problems) -> SecretStr | None:
    """Return the value in librdkafka's spelling; if it is not allowed, add a problem and return None."""
    value = _normal(item, text.value)
    if value is None:
        allowed = _allowed(item)
        problems.add(
            f"{text.variable} is {shown(text.value, secret=item.name in SECRETS)}: it must be {allowed}."
        )
        return None
    return SecretStr(value)


def _allowed(item: Property) -> str:
    if item.name in RESTRICTED:
        _, allowed, reason = RESTRICTED[item.name]
        return f"{allowed}, because {reason}"
    if item.main_name == "metadata.broker.list":
        return "host:port of one or more brokers, with commas between"
    low, _, high = item.allowed.partition("..")
    return {
        "integer": f"a whole number from {low} to {high}",
        "float": f"a number from {low} to {high}",
        "boolean": "true or false (also yes, no, 1, 0)",
        "enum": f"one of {item.allowed.replace(',', ', ')}",
        "flags": f"one or more of {item.allowed.replace(',', ', ')}, with commas between",
        "string": "anything but empty",
    }[item.kind]


def _normal(item: Property, text: str) -> str | None:
    """Return the value in librdkafka's spelling; None if it is not allowed."""
    value = text if item.name in SECRETS else text.strip()
    words = item.allowed.split(",")
    if item.name in RESTRICTED:
        return value if RESTRICTED[item.name][0].fullmatch(value) else None
    if item.main_name == "metadata.broker.list":
        return value if all(map(_is_broker, value.split(","))) else None
    if item.kind in {"integer", "float"}:
        return value if _in_range(value, item) else None
    if item.kind == "enum":
        return {word.lower(): word for word in words}.get(value.lower())
    if item.kind == "boolean":
        value = _TRUTHS.get(value.lower(), "")
    if item.kind == "flags" and item.allowed:
        flags = [flag.strip() for flag in value.split(",")]
        value = ",".join(flags) if set(flags) <= set(words) else ""
    return value or None


def _in_range(value: str, item: Property) -> bool:
    pattern = r"[+-]?[0-9]{1,18}" if item.kind == "integer" else r"[+-]?[0-9]{1,18}(\.[0-9]{1,9})?"
    low, _, high = item.allowed.partition("..")
    return re.fullmatch(pattern, value) is not None and float(low) <= float(value) <= float(high)


def _is_broker(text: str) -> bool:
    """Return whether this is `host`, `host:port` or `[IPv6]:port`, which librdkafka accepts."""
    match = re.fullmatch(
        r"(?:[a-zA-Z_]+://)?(?:\[[0-9a-fA-F:.%]+\]|[a-zA-Z0-9._-]+)(?::([0-9]{1,5}))?", text.strip()
    )
    return match is not None and (match[1] is None or 0 < int(match[1]) < 65_536)


def _contradictions(found: list[KafkaProperty]) -> Iterable[str]:
    """Yield a sentence for variables that set a property differently, or exclude each other."""
    first: dict[tuple[str, str], KafkaProperty] = {}
    for item in found:
        before = first.setdefault((item.side, properties()[item.name].main_name), item)
        if before.value != item.value:
            yield (
                f"{before.variable} is {shown(before.shown)} and {item.variable} is {shown(item.shown)}: "
                "they set the same property; make them equal, or leave one out."
            )
    protocol = effective(found, "consumer").get("group.protocol", "classic")
    for item in found:
        if protocol == "consumer" and item.name in _DECIDED_BY_BROKERS:
            yield (
                f"{item.variable} is {shown(item.shown)}: with group.protocol=consumer the brokers decide "
                f"{item.name}; leave it out."
            )
        if protocol == "classic" and item.name == "group.remote.assignor":
            yield f"{item.variable} is {shown(item.shown)}: it needs {PREFIX}GROUP_PROTOCOL=consumer."
