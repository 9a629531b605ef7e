"""Reads RSQL, the filter language of the Job Service, into a `JobFilter`."""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from itertools import repeat
from typing import Any, NamedTuple, NoReturn

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken, v_args

from tracker.errors import InvalidQuery
from tracker.job_filter import (
    AllOf,
    AnyOf,
    Begins,
    Compares,
    Comparison,
    HasAttempt,
    HasLabel,
    HasPercentage,
    HasStatus,
    HasText,
    HasTime,
    IsNull,
    JobFilter,
    Like,
    NoneOf,
    Not,
    OneOf,
    TextField,
    TextTest,
    TimeField,
    WaitsFor,
)
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs.validation import find_unstorable
from tracker.times import read_time

MAX_CHARS = 100_000
MAX_DEPTH = 50  # of parentheses
MAX_COMPARISONS = 100
MAX_VALUES = 2_000

LABELS = "labels."
FIELDS = (*TextField, "status", "percentageComplete", *TimeField, "attempt", "waitsFor", f"{LABELS}KEY")
_COMPARISONS = {
    ">": Comparison.GREATER,
    "=gt=": Comparison.GREATER,
    ">=": Comparison.GREATER_EQUAL,
    "=ge=": Comparison.GREATER_EQUAL,
    "<": Comparison.LESS,
    "=lt=": Comparison.LESS,
    "<=": Comparison.LESS_EQUAL,
    "=le=": Comparison.LESS_EQUAL,
}
_ORDER = tuple(_COMPARISONS)
_CHOICE = ("==", "!=", "=in=", "=out=")
_NULL = "=isnull="
OPERATORS = (*_CHOICE, *_ORDER, _NULL)
_SEVERAL = ("=in=", "=out=")
_PERCENTAGE = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_ATTEMPT = re.compile(r"[0-9]{1,9}", re.ASCII)
_SHOWN_CHARS = 40


class _Value(NamedTuple):
    text: str
    column: int


class _Comparison(NamedTuple):
    """A comparison as it was written."""

    field: Token
    operator: Token
    values: tuple[_Value, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(value.text for value in self.values)


class _Part(NamedTuple):
    """A part of a filter, and what it has taken of the bounds."""

    wanted: JobFilter
    depth: int = 0
    comparisons: int = 0
    values: int = 0


def read_rsql(text: str) -> JobFilter:
    """Return the filter that an RSQL expression describes.

    :raises InvalidQuery: it is malformed, or too large; the text says where, and what was expected.
    """
    if len(text) > MAX_CHARS:
        raise InvalidQuery(f"the filter has {len(text):,} characters, and can have {MAX_CHARS:,}")
    if (bad := find_unstorable(text)) is not None:
        _refuse(bad + 1, "a NUL or half a character, which no job has")
    try:
        part: Any = _parser().parse(text)
    except UnexpectedInput as error:
        _explain(text, error)
    return part.wanted  # type: ignore[no-any-return]


@cache
def _parser() -> Lark:
    return Lark.open(
        "rsql.lark", rel_to=__file__, parser="lalr", transformer=_Reader(), maybe_placeholders=False
    )


def _refuse(column: int, text: str) -> NoReturn:
    raise InvalidQuery(f"the filter is wrong at column {column}: {text}")


def _shown(text: str) -> str:
    return ascii(text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "...")


def _column(token: Token) -> int:
    return int(token.start_pos or 0) + 1


def _explain(text: str, error: UnexpectedInput) -> NoReturn:
    """Say where a text is no RSQL, and what could be there."""
    column = len(text) + 1
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        column = _column(error.token)
        found = _shown(str(error.token))
    elif isinstance(error, UnexpectedCharacters):
        position: Any = error.pos_in_stream  # typed as None
        column = position + 1
        found = _shown(text[column - 1])
        if found in {'"\'"', "'\"'"}:
            _refuse(column, "the text in quotes that begins here does not end")
    else:
        found = "the end"
    accepted = error.accepts if isinstance(error, UnexpectedToken) else getattr(error, "allowed", None)
    _refuse(column, f"expected {_described(set(accepted or ()))}, found {found}")


def _described(terminals: set[str]) -> str:
    """Say what is expected where one of these can stand."""
    if "OPERATOR" in terminals:
        return f"an operator ({' '.join(OPERATORS)})"
    if "QUOTED" in terminals:
        return "a value"
    if "TEXT" in terminals:
        return "a field or ("
    words = {
        "_SEMICOLON": "; (and)",
        "_COMMA": ", (or)" if "_OR" in terminals else ",",
        "_RPAR": ")",
        "$END": "the end",
    }
    *most, last = [word for name, word in words.items() if name in terminals] or ["a filter"]
    return f"{', '.join(most)} or {last}" if most else last


@v_args(inline=True)
class _Reader(Transformer[Token, _Part]):
    """Reads while the parser parses, so that no expression is too deep for recursion."""

    def value(self, token: Token) -> _Value:
        text = str(token)
        if token.type == "QUOTED":
            text = re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
        return _Value(text, _column(token))

    def comparison(self, field: Token, operator: Token, *rest: Token | _Value) -> _Part:
        values = tuple(each for each in rest if isinstance(each, _Value))
        return _Part(_read_comparison(_Comparison(field, operator, values)), 0, 1, len(values))

    def group(self, parenthesis: Token, part: _Part) -> _Part:
        if part.depth >= MAX_DEPTH:
            _refuse(_column(parenthesis), f"more than {MAX_DEPTH} parentheses within each other")
        return part._replace(depth=part.depth + 1)

    def all_of(self, *parts: _Part) -> _Part:
        return _join(AllOf, parts)

    def any_of(self, *parts: _Part) -> _Part:
        return _join(AnyOf, parts)


def _join(kind: Callable[[tuple[JobFilter, ...]], JobFilter], parts: tuple[_Part, ...]) -> _Part:
    if len(parts) == 1:
        return parts[0]
    comparisons, values = sum(part.comparisons for part in parts), sum(part.values for part in parts)
    for number, most, noun in (
        (comparisons, MAX_COMPARISONS, "comparisons"),
        (values, MAX_VALUES, "values"),
    ):
        if number > most:
            raise InvalidQuery(f"the filter has {number:,} {noun}, and can have {most:,}")
    wanted = kind(tuple(part.wanted for part in parts))
    return _Part(wanted, max(part.depth for part in parts), comparisons, values)


def _read_comparison(written: _Comparison) -> JobFilter:
    field, operator = str(written.field), str(written.operator)
    if operator not in OPERATORS:
        _refuse(_column(written.operator), f"{_shown(operator)} is not an operator: {' '.join(OPERATORS)}")
    if operator not in _SEVERAL and len(written.values) > 1:
        _refuse(written.values[1].column, f"{operator} takes one value; =in= and =out= take several")
    if len(written.values) > MAX_VALUES:
        _refuse(written.values[0].column, f"{len(written.values):,} values, and there can be {MAX_VALUES:,}")
    if field.startswith(LABELS):
        return _of_label(field.removeprefix(LABELS), written)
    if field in _READERS:
        return _READERS[field](written)
    return _refuse(_column(written.field), f"{_shown(field)} is not a field: {', '.join(FIELDS)}")


def _of_text(written: _Comparison) -> JobFilter:
    return HasText(TextField(written.field), _read_test(written))


def _of_label(key: str, written: _Comparison) -> JobFilter:
    test = _read_test(written)
    if test == IsNull():
        return Not(HasLabel(key, IsNull(negated=True)))
    return HasLabel(key, test)


def _of_status(written: _Comparison) -> JobFilter:
    _require_operator(written, _CHOICE + _ORDER)
    return HasStatus(_chosen(written, sorted(STATUSES, key=str), _read_statuses(written)))


def _chosen(written: _Comparison, statuses: list[JobStatus], given: list[JobStatus]) -> tuple[JobStatus, ...]:
    """Return which statuses a comparison with the given ones means; their order is that of the alphabet."""
    operator = str(written.operator)
    if operator in {"==", "=in="}:
        return tuple(status for status in statuses if status in given)
    if operator in {"!=", "=out="}:
        return tuple(status for status in statuses if status not in given)
    place = statuses.index(given[0])
    comparison = _COMPARISONS[operator]
    after = comparison in {Comparison.GREATER, Comparison.GREATER_EQUAL}
    with_itself = comparison in {Comparison.GREATER_EQUAL, Comparison.LESS_EQUAL}
    if after:
        return tuple(statuses[place if with_itself else place + 1 :])
    return tuple(statuses[: place + 1 if with_itself else place])


def _read_statuses(written: _Comparison) -> list[JobStatus]:
    for value in written.values:
        if value.text not in set(STATUSES):
            _refuse(value.column, f"{_shown(value.text)} is not a status: {', '.join(STATUSES)}")
    return [JobStatus(text) for text in written.texts]


def _of_percentage(written: _Comparison) -> JobFilter:
    _require_operator(written, _CHOICE + _ORDER)
    for value in written.values:
        if not _PERCENTAGE.fullmatch(value.text):
            _refuse(value.column, f"{_shown(value.text)} is not a percentage, such as 21.67")
    values = tuple(map(Decimal, written.texts))
    return _among(written, lambda comparison: HasPercentage(values, comparison))


def _of_attempt(written: _Comparison) -> JobFilter:
    _require_operator(written, _CHOICE + _ORDER)
    for value in written.values:
        if not _ATTEMPT.fullmatch(value.text):
            _refuse(value.column, f"{_shown(value.text)} is not a whole number, such as 2")
    values = tuple(map(int, written.texts))
    return _among(written, lambda comparison: HasAttempt(values, comparison))


def _of_time(written: _Comparison) -> JobFilter:
    _require_operator(written, _CHOICE + _ORDER)
    values = []
    for value in written.values:
        try:
            values.append(read_time(value.text))
        except InvalidQuery as error:
            _refuse(value.column, str(error))
    field = TimeField(written.field)
    return _among(written, lambda comparison: HasTime(field, tuple(values), comparison))


def _among(written: _Comparison, condition: Callable[[Comparison | None], JobFilter]) -> JobFilter:
    """Return a condition on a number that each job has."""
    found = condition(_COMPARISONS.get(written.operator))
    return Not(found) if written.operator in {"!=", "=out="} else found


def _of_prerequisite(written: _Comparison) -> JobFilter:
    _require_operator(written, (*_CHOICE, _NULL))
    test = _read_test(written)
    if isinstance(test, IsNull):
        return WaitsFor() if test.negated else Not(WaitsFor())
    if isinstance(test, NoneOf):
        return Not(WaitsFor(OneOf(test.values)))
    if isinstance(test, Like) and test.negated:
        return Not(WaitsFor(Like(test.pattern)))
    return WaitsFor(test)


_READERS: dict[str, Callable[[_Comparison], JobFilter]] = {
    "status": _of_status,
    "percentageComplete": _of_percentage,
    "attempt": _of_attempt,
    "waitsFor": _of_prerequisite,
    **dict(zip(TextField, repeat(_of_text))),
    **dict(zip(TimeField, repeat(_of_time))),
}


def _require_operator(written: _Comparison, operators: tuple[str, ...]) -> None:
    if written.operator not in operators:
        _refuse(
            _column(written.operator),
            f"{written.operator} is not an operator of {written.field}: {' '.join(operators)}",
        )


def _read_test(written: _Comparison) -> TextTest:
    operator, first = str(written.operator), written.values[0]
    if operator == _NULL:
        if first.text not in {"true", "false"}:
            _refuse(first.column, f"{_shown(first.text)} is not true or false")
        return IsNull(negated=first.text == "false")
    if operator in _COMPARISONS:
        return Compares(_COMPARISONS[operator], first.text)
    negated = operator in {"!=", "=out="}
    if operator not in _SEVERAL and "*" in first.text:
        return _read_pattern(first.text, negated=negated)
    return NoneOf(written.texts) if negated else OneOf(written.texts)


def _read_pattern(text: str, *, negated: bool) -> TextTest:
    pattern = re.sub(r"\*+", "*", text)
    prefix = pattern.removesuffix("*")
    if not negated and prefix and "*" not in prefix:
        return Begins(prefix)
    return Like(pattern, negated)
