"""Keeps JSON on one line, for all programs that read lines."""

# Unicode's line ends, which JSON strings may contain unescaped. In UTF-8, these bytes have no other meaning.
_LINE_ENDS = (
    (b"\xc2\x85", rb"\u0085"),
    (b"\xe2\x80\xa8", rb"\u2028"),
    (b"\xe2\x80\xa9", rb"\u2029"),
)


def on_one_line(json: bytes) -> bytes:
    """Escape the line ends that JSON encoders do not escape."""
    for raw, escaped in _LINE_ENDS:
        if raw in json:
            json = json.replace(raw, escaped)
    return json
