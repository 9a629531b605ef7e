"""The connection string for PostgreSQL, from one variable, or from the variables of its parts."""

import re
from collections.abc import Mapping
from types import MappingProxyType

import psycopg
from psycopg import conninfo
from pydantic import BaseModel, ConfigDict, SecretStr

from tracker.settings.sources import FILE, Problems, Text, nearest, read_text
from tracker.settings.values import shown

URL = "TRACKER_DATABASE_URL"
MISSING = (
    f"{URL} is not set, and no PG* variable names a database: it must be a libpq URI such as "
    "postgresql://user@host/name, or a keyword string such as host=... dbname=...."
)

PART_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "JOB_SERVICE_DATABASE_HOST": "host",
        "JOB_SERVICE_DATABASE_PORT": "port",
        "JOB_SERVICE_DATABASE_NAME": "dbname",
        "JOB_SERVICE_DATABASE_USERNAME": "user",
        "JOB_SERVICE_DATABASE_PASSWORD": "password",
        "JOB_SERVICE_DATABASE_APPNAME": "application_name",
    }
)
PASSWORD_PART = "JOB_SERVICE_DATABASE_PASSWORD"  # noqa: S105 - the name of a variable

_SECRET_KEYWORDS = frozenset({"password", "sslpassword", "oauth_client_secret"})
_ALLOWED = "a libpq URI (postgresql://user:password@host:port/name) or keyword string (host=... dbname=...)"


class Database(BaseModel):
    """How to reach PostgreSQL."""

    model_config = ConfigDict(frozen=True)

    conninfo: SecretStr = SecretStr("")
    shown: str = ""  # as a keyword string, passwords masked
    origin: str = "default"
    names_a_database: bool = False
    libpq_variables: tuple[tuple[str, str], ...] = ()  # the PG* variables that are set, passwords masked
    variables: tuple[tuple[str, SecretStr], ...] = ()  # from which it was read, if one of them names a file

    def current_conninfo(self) -> str:
        """Return the connection string with the present content of the files, because secrets are rotated.

        If that is not usable, it is the one that was read at the start.
        """
        if not self.variables:
            return self.conninfo.get_secret_value()
        problems = Problems()
        present = read({name: value.get_secret_value() for name, value in self.variables}, problems)
        return (self if problems.sentences else present).conninfo.get_secret_value()


def read(environ: Mapping[str, str], problems: Problems) -> Database:
    """Return the connection that the environment describes, and add every mistake to `problems`."""
    url = read_text(environ, URL, problems, secret=True)
    params = _parsed(url, problems) if url and url.value.strip() else {}
    parts = _parts(environ, problems)
    merged = dict(params)
    for keyword, text in parts.items():
        if merged.setdefault(keyword, text.value) != text.value:
            problems.add(_differs(keyword, params[keyword], text, url))
    origins = [url.origin] if url and params else []
    origins += [text.origin for text in parts.values()]
    return Database(
        conninfo=SecretStr(url.value if url and params == merged else conninfo.make_conninfo("", **merged)),
        shown=masked(merged),
        origin=", ".join(origins) or "default",
        names_a_database=bool(
            params or "dbname" in merged or environ.get("PGDATABASE") or environ.get("PGSERVICE")
        ),
        libpq_variables=tuple(sorted(_libpq_variables(environ))),
        variables=_rotated(environ),
    )


def _rotated(environ: Mapping[str, str]) -> tuple[tuple[str, SecretStr], ...]:
    files = {URL + FILE, PASSWORD_PART + FILE}
    if not files & environ.keys():
        return ()
    names = [*files, URL, *PART_VARIABLES]
    return tuple((name, SecretStr(environ[name])) for name in sorted(names) if name in environ)


def masked(params: Mapping[str, str]) -> str:
    """Return a connection as a keyword string with masked passwords."""
    visible = {key: "***" if key in _SECRET_KEYWORDS else value for key, value in params.items()}
    return conninfo.make_conninfo("", **visible)


def _libpq_variables(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    known = {item.envvar.decode() for item in psycopg.pq.Conninfo.get_defaults() if item.envvar}
    secret = {"PGPASSWORD"}
    return [(name, "***" if name in secret else environ[name]) for name in known & environ.keys()]


def _parts(environ: Mapping[str, str], problems: Problems) -> dict[str, Text]:
    """Return the parts of the connection that have their own variables; an empty one counts as not set."""
    parts = {}
    for variable, keyword in PART_VARIABLES.items():
        text = read_text(environ, variable, problems, secret=variable == PASSWORD_PART)
        if text is None or not text.value:
            continue
        if keyword == "port" and not _is_port(text.value):
            problems.add(f"{variable} is {shown(text.value)}: it must be a whole number from 1 to 65535.")
        else:
            parts[keyword] = text
    return parts


def _differs(keyword: str, in_url: str, text: Text, url: Text | None) -> str:
    secret = keyword in _SECRET_KEYWORDS
    origin = url.variable if url else URL
    return (
        f"{origin} has {keyword} {shown(in_url, secret=secret)} and {text.variable} is "
        f"{shown(text.value, secret=secret)}: make them equal, or leave one out."
    )


def _parsed(url: Text, problems: Problems) -> dict[str, str]:
    """Return the parameters of a connection string; if it is wrong, add a problem and return nothing.

    A string that cannot be parsed is never shown, because any part of it may be the password.
    """
    try:
        params = {key: str(value) for key, value in conninfo.conninfo_to_dict(url.value).items()}
    except (
        psycopg.Error,
        UnicodeError,
    ) as error:  # UnicodeError: the environment has bytes that are not UTF-8
        problems.add(f"{url.variable} is ***: it must be {_ALLOWED}{_hint(str(error))}")
        return {}
    rest = url.value.partition("://")[2].partition("?")[0]
    if "@" in params.get("host", "").lstrip("@") or rest.count("@") > 1 or "@" in rest.partition("/")[2]:
        problems.add(
            f"{url.variable} is ***: it must be {_ALLOWED}, and within a password or a name @ is written %40 "
            "and / is written %2F."
        )
        return {}
    if not all(map(_is_port, filter(None, params.get("port", "").split(",")))):
        problems.add(f"{url.variable} is ***: its port must be a whole number from 1 to 65535.")
        return {}
    return params


def _hint(error: str) -> str:
    """Name a misspelt parameter, if it resembles a known one: any other may be a part of a password."""
    unknown = re.search(r'invalid (?:connection option|URI query parameter:) "([a-z_]+)"', error)
    if unknown is None:
        return "."
    near = nearest(unknown[1], [item.keyword.decode() for item in psycopg.pq.Conninfo.get_defaults()])
    return f"; it has no parameter {unknown[1]}, did you mean {near}?" if near else "."


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", text.strip()) is not None and 0 < int(text) < 65_536
