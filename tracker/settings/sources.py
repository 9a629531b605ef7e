"""The sources of a setting's text: a variable, an alias, or a file that a variable names."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from tracker.settings.values import shown

FILE = "_FILE"

# Secrets are short. A longer file is a wrong path, such as an endless device.
_MAX_FILE_BYTES = 65_536


class Text(NamedTuple):
    """The text of a setting, and where it was found."""

    value: str
    variable: str  # which holds the text, or names the file
    origin: str  # the same, for users
    path: str = ""  # of the file


class Problems:
    """Collects mistakes, so that the user sees all of them at once."""

    def __init__(self) -> None:
        self._sentences: dict[str, None] = {}

    def add(self, sentence: str) -> None:
        """Add a sentence, unless it is there already."""
        self._sentences[sentence] = None

    def extend(self, sentences: Iterable[str]) -> None:
        """Add several sentences."""
        for sentence in sentences:
            self.add(sentence)

    @property
    def sentences(self) -> tuple[str, ...]:
        """All sentences, in the order in which they were added."""
        return tuple(self._sentences)


def is_file_variable(name: str) -> bool:
    """Return whether a variable names a file, according to its own name."""
    return name.endswith(FILE)


def looks_secret(variable: str) -> bool:
    """Return whether an unknown variable may hold a secret, according to its name."""
    return re.search(r"PASS|SECRET|TOKEN|KEY|PEM|CREDENTIAL|AUTH|URL|URI|DSN|CONNINFO", variable) is not None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that the user has most likely meant."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)), None)


def read_text(
    environ: Mapping[str, str], variable: str, problems: Problems, *, secret: bool = False
) -> Text | None:
    """Return the text of a variable or, for a secret with `…_FILE`, of its file; None without either.

    If both are set, or the file cannot be read, the text is None, and a problem is added. An empty variable
    beside a file counts as not set, because that is how compose files leave one out.
    """
    if not secret:
        return Text(environ[variable], variable, variable) if variable in environ else None
    plain = variable.removesuffix(FILE)
    if environ.get(plain) and plain + FILE in environ:
        path = environ[plain + FILE]
        problems.add(f"{plain} is *** and {plain}{FILE} is {shown(path)}: only one of them can be set.")
        return None
    if plain + FILE in environ:
        return _from_file(plain + FILE, environ[plain + FILE], problems)
    return Text(environ[plain], plain, plain) if plain in environ else None


def read_again(path: str) -> str | None:
    """Return the present secret in a file; None if it has no usable one."""
    text = _from_file("", path, Problems())
    return text.value if text is not None else None


def _from_file(variable: str, path: str, problems: Problems) -> Text | None:
    """Read a secret from its file, without the one newline that editors add at the end."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8 text"
        problems.add(
            f"{variable} is {shown(path)}: it must name a readable file, and this one is not ({reason})."
        )
        return None
    if not text or "\0" in text or len(content) > _MAX_FILE_BYTES:
        problems.add(
            f"{variable} is {shown(path)}: the file must hold a secret of 1 to {_MAX_FILE_BYTES} bytes."
        )
        return None
    return Text(text, variable, f"{variable}={path}", path)
