"""JSON that stays on one line for every reader of lines."""

# Unicode's line ends, which JSON may hold as they are, in strings only. Their bytes in UTF-8 mean nothing
# else.
_LINE_ENDS = (
    (b"\xc2\x85", rb"\u0085"),
    (b"\xe2\x80\xa8", rb"\u2028"),
    (b"\xe2\x80\xa9", rb"\u2029"),
)


def on_one_line(json: bytes) -> bytes:
    """Escape the line ends that JSON encoders leave as they are."""
    for raw, escaped in _LINE_ENDS:
        if raw in json:
            json = json.replace(raw, escaped)
    return json
