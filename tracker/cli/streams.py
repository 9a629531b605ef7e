"""Escapes text that a terminal cannot show, and reads arguments as UTF-8, in any locale."""

import codecs
import os
import sys

_ESCAPE = "tracker-escape"


def take_any_text() -> None:
    """Prepare stdout, stderr and the arguments for text that the locale's encoding does not have."""
    codecs.register_error(_ESCAPE, _escape)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_ESCAPE)
    if sys.getfilesystemencoding() != "utf-8":
        sys.argv = [os.fsencode(text).decode("utf-8", "surrogateescape") for text in sys.argv]


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Escape as JSON does, so that printed JSON stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)), error.end
