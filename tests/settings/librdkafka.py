"""What the installed librdkafka says of its own properties; as a program, prints a new `librdkafka.tsv`."""

import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import confluent_kafka

_KINDS = {
    "string": "string",
    "pattern list": "string",
    "integer": "integer",
    "float": "float",
    "boolean": "boolean",
    "enum value": "enum",
    "CSV flags": "flags",
}


def installed_table() -> str:
    """Return the table of the properties that a variable can set, in the form of `librdkafka.tsv`."""
    rows: dict[str, tuple[str, ...]] = {}
    for name, side, allowed, text in _documented():
        kind = _KINDS.get(re.findall(r"\*Type: ([^*]+)\*", text)[-1])
        if kind is None:  # "see dedicated API": a callback
            continue
        alias = re.search(r"Alias for `([^`]+)`", text)
        row = (name, side, kind, allowed.replace(" .. ", "..").replace(" ", ""), alias[1] if alias else "")
        rows.setdefault(name, row)
    return "".join("\t".join(row) + "\n" for row in sorted(rows.values()))


def _documented() -> Iterator[tuple[str, str, str, str]]:
    for line in _properties_show().splitlines():
        cells = [cell.strip() for cell in re.split(r" \| ", line, maxsplit=5)]
        if len(cells) == 6 and cells[0] != "Property":
            yield cells[0], cells[1], cells[2], cells[5]


def _properties_show() -> str:
    """Let the library that the wheel brings print its documentation; it can only do so into a C `FILE *`."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka*.so*"))))
    libc = ctypes.CDLL(None)
    libc.fdopen.restype = ctypes.c_void_p
    with tempfile.TemporaryFile("w+b") as file:
        stream = ctypes.c_void_p(libc.fdopen(os.dup(file.fileno()), b"w"))
        library.rd_kafka_conf_properties_show(stream)
        libc.fclose(stream)
        file.seek(0)
        return file.read().decode()


if __name__ == "__main__":
    sys.stdout.write(installed_table())
