"""Where a setting's text comes from: a variable, an alias, or a file that a variable names."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from tracker.settings.values import shown

FILE = "_FILE"

# Secrets are short; more than this is a wrong path, such as a device that never ends.
_MAX_FILE_BYTES = 65_536


class Text(NamedTuple):
    """A setting's text as it was found."""

    value: str
    variable: str  # whose value it is, or which names the file
    origin: str  # the same for people
    path: str = ""  # of the file


class Problems:
    """Collects what is wrong, so that a user is told all of it at once."""

    def __init__(self) -> None:
        self._sentences: dict[str, None] = {}

    def add(self, sentence: str) -> None:
        """Remember a sentence, once."""
        self._sentences[sentence] = None

    def extend(self, sentences: Iterable[str]) -> None:
        """Remember several."""
        for sentence in sentences:
            self.add(sentence)

    @property
    def sentences(self) -> tuple[str, ...]:
        """All sentences, in the order in which they were found."""
        return tuple(self._sentences)


def is_file_variable(name: str) -> bool:
    """Whether a variable's name says that it names a file."""
    return name.endswith(FILE)


def looks_secret(variable: str) -> bool:
    """Whether a variable that nobody knows may hold a secret, by its name."""
    return re.search(r"PASS|SECRET|TOKEN|KEY|PEM|CREDENTIAL|AUTH|URL|URI|DSN|CONNINFO", variable) is not None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was most likely meant."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)), None)


def read_text(
    environ: Mapping[str, str], variable: str, problems: Problems, *, secret: bool = False
) -> Text | None:
    """Return the text that a variable holds or, for a secret's `…_FILE`, its file holds; None if neither.

    Both set is a problem, as is a file that cannot be read; the text is then None. Beside a file, an empty
    variable counts as not set: that is how compose files leave one out.
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
    """Return the secret that a file holds now; None where it holds none that could be used."""
    text = _from_file("", path, Problems())
    return text.value if text is not None else None


def _from_file(variable: str, path: str, problems: Problems) -> Text | None:
    """Read a secret from its file, without the one newline that editors put at the end."""
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
