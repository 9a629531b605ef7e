"""The types of settings: how each is parsed from text, and what is allowed, in words."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args, get_origin
from urllib.parse import urlsplit

from annotated_types import Ge, Le
from pydantic import AfterValidator, BeforeValidator

TOPIC_RULE = "1 to 249 of the characters a-z A-Z 0-9 . _ -, not . or .., and not beginning with __"

# As for a topic, because brokers apply the rule of topic names to member IDs; at most 100 characters, so that
# group, instance and slot together remain below the 249 of that rule.
MEMBER_RULE = "1 to 100 of the characters a-z A-Z 0-9 . _ -"

_USER_INFO = re.compile(r"://[^/\s]*@")
_PASSWORD_PAIR = re.compile(r"(?i)((?:password|secret|passphrase)\s*=\s*)('(?:[^'\\]|\\.)*'?|[^\s&;,]+)")


@dataclass(frozen=True)
class Allowed:
    """What is allowed, in words, if the type and its bounds do not express it."""

    text: str


def shown(text: str, *, secret: bool = False) -> str:
    """Return a value for use in an error: quoted, on one line, cut, and without passwords."""
    if secret:
        return "***"
    text = _PASSWORD_PAIR.sub(r"\1***", _USER_INFO.sub("://***@", text))
    if len(text) > 120:
        text = text[:120] + "..."
    return json.dumps(text)


def legal_topic(name: str) -> bool:
    """Return whether Kafka accepts this name for a topic, and it is not the name of an internal one."""
    return (
        re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", name) is not None
        and name not in {".", ".."}
        and not name.startswith("__")
    )


def allowed_text(annotation: object, metadata: Sequence[object], unit: str) -> str:
    """Return in words what is allowed for this type, such as `a whole number of records from 1 to 10`."""
    text = next((item.text for item in metadata if isinstance(item, Allowed)), None)
    if text is not None:
        return text
    if get_origin(annotation) is Literal:
        return " or ".join(get_args(annotation))
    low = next(item.ge for item in metadata if isinstance(item, Ge))
    high = next(item.le for item in metadata if isinstance(item, Le))
    return f"a whole number{' of ' + unit if unit else ''} from {low} to {high}"


def _whole(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", value.strip()):
        raise ValueError("not a whole number")
    return int(value)


def _whole_or_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else _whole(value)


def _truth(value: object) -> object:
    if not isinstance(value, str):
        return value
    truths = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if value.strip().lower() not in truths:
        raise ValueError("not a truth value")
    return truths[value.strip().lower()]


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _list(value: object) -> object:
    return tuple(item.strip() for item in value.split(",")) if isinstance(value, str) else value


def _list_or_empty(value: object) -> object:
    return () if isinstance(value, str) and not value.strip() else _list(value)


def _topic(name: str) -> str:
    if not legal_topic(name):
        raise ValueError("not a legal topic name")
    return name


def _topics(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or len({_topic(name).lower() for name in names}) < len(names):
        raise ValueError("no name, or a name twice")
    return names


def _patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if not all(re.fullmatch(r"[a-zA-Z0-9._*-]{1,249}", pattern) for pattern in patterns):
        raise ValueError("not a pattern")
    return patterns


def _member(name: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9._-]{1,100}", name) or name in {".", ".."}:
        raise ValueError("not a legal name")
    return name


def _url(value: str) -> str:
    if not value:
        return value
    parts = urlsplit(value)
    _ = parts.port  # raises an error if it is not a number
    is_complete = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    if not is_complete or parts.query or parts.fragment or re.search(r"[\s\x00-\x1f]", value):
        raise ValueError("not a plain URL")
    return value.rstrip("/")


def _host(value: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9.:%_-]+", value):
        raise ValueError("not a host")
    return value


def _strip(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


_Stripped = BeforeValidator(_strip)

WholeNumber = Annotated[int, BeforeValidator(_whole)]
PortOrNone = Annotated[
    Annotated[int, Ge(0), Le(65_535)] | None,
    BeforeValidator(_whole_or_none),
    Allowed("a port from 0 to 65535, or empty"),
]
_MAX_SECONDS = 3_153_600_000  # a hundred years
SecondsOrNone = Annotated[
    Annotated[int, Ge(1), Le(_MAX_SECONDS)] | None,
    BeforeValidator(_whole_or_none),
    Allowed(f"a whole number of seconds from 1 to {_MAX_SECONDS}, or empty"),
]
Truth = Annotated[bool, BeforeValidator(_truth), Allowed("true or false (also yes, no, 1, 0)")]
Word = BeforeValidator(_lower)
Topic = Annotated[str, _Stripped, AfterValidator(_topic), Allowed(f"a topic name: {TOPIC_RULE}")]
Topics = Annotated[
    tuple[str, ...],
    BeforeValidator(_list),
    AfterValidator(_topics),
    Allowed(f"topic names with commas between, none twice (not even in other case), each {TOPIC_RULE}"),
]
Patterns = Annotated[
    tuple[str, ...],
    BeforeValidator(_list_or_empty),
    AfterValidator(_patterns),
    Allowed("empty, or topic names with commas between, in which * stands for any characters"),
]
MemberName = Annotated[str, _Stripped, AfterValidator(_member), Allowed(MEMBER_RULE)]
Url = Annotated[
    str,
    _Stripped,
    AfterValidator(_url),
    Allowed("empty, or an http or https URL without user name, query and fragment"),
]
Host = Annotated[str, _Stripped, AfterValidator(_host), Allowed("a host name or an IP address")]
