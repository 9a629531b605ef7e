"""RSQL: what it can say, and what is said about what it cannot."""

from decimal import Decimal

import pytest

from tracker import InvalidQuery, JobStatus
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
from tracker.jobs.rsql import MAX_CHARS, MAX_COMPARISONS, MAX_DEPTH, MAX_VALUES, read_rsql

WAITING, ACTIVE, PAUSED, FAILED, CANCELLED, COMPLETED = JobStatus


def name(test: TextTest) -> JobFilter:
    return HasText(TextField.NAME, test)


A, B, C = (HasText(TextField.ID, OneOf((text,))) for text in "abc")


@pytest.mark.parametrize(
    ("rsql", "expected"),
    [
        ("name==x", name(OneOf(("x",)))),
        ("name!=x", name(NoneOf(("x",)))),
        ("name=in=x", name(OneOf(("x",)))),
        ("name=in=(x,'y z', \"*\")", name(OneOf(("x", "y z", "*")))),
        ("name=out=(x,y*)", name(NoneOf(("x", "y*")))),
        ("name=='x*'", name(Begins("x"))),
        ("name==x**y*", name(Like("x*y*"))),
        ("name==*", name(Like("*"))),
        ("name!=x*", name(Like("x*", negated=True))),
        ("name==''", name(OneOf(("",)))),
        (r"name=='it\'s \\ \"so\"'", name(OneOf(('it\'s \\ "so"',)))),
        ('name=="it\'s"', name(OneOf(("it's",)))),
        ("name=gt=x", name(Compares(Comparison.GREATER, "x"))),
        ("name>=x", name(Compares(Comparison.GREATER_EQUAL, "x"))),
        ("name=ge=x*", name(Compares(Comparison.GREATER_EQUAL, "x*"))),
        ("name<x", name(Compares(Comparison.LESS, "x"))),
        ("name=le=x", name(Compares(Comparison.LESS_EQUAL, "x"))),
        ("name=isnull=true", name(IsNull())),
        ("name=isnull=false", name(IsNull(negated=True))),
        ("name==and", name(OneOf(("and",)))),
        ("name == or", name(OneOf(("or",)))),
        ("partitionId==team-*", HasText(TextField.PARTITION_ID, Begins("team-"))),
        ("status==Failed", HasStatus((FAILED,))),
        ("status!=Completed", HasStatus((ACTIVE, CANCELLED, FAILED, PAUSED, WAITING))),
        ("status=in=(Failed,Active)", HasStatus((ACTIVE, FAILED))),
        ("status=out=(Failed,Active)", HasStatus((CANCELLED, COMPLETED, PAUSED, WAITING))),
        ("status>Active", HasStatus((CANCELLED, COMPLETED, FAILED, PAUSED, WAITING))),
        ("status>=Paused", HasStatus((PAUSED, WAITING))),
        ("status<Completed", HasStatus((ACTIVE, CANCELLED))),
        ("status=le=Completed", HasStatus((ACTIVE, CANCELLED, COMPLETED))),
        ("percentageComplete==21.67", HasPercentage((Decimal("21.67"),))),
        ("percentageComplete!=0", Not(HasPercentage((Decimal(0),)))),
        ("percentageComplete>=-1", HasPercentage((Decimal(-1),), Comparison.GREATER_EQUAL)),
        ("attempt>1", HasAttempt((1,), Comparison.GREATER)),
        ("attempt=out=(1,2)", Not(HasAttempt((1, 2)))),
        ("createTime>1000", HasTime(TimeField.CREATE_TIME, (1000,), Comparison.GREATER)),
        ("createTime=out=(1,2)", Not(HasTime(TimeField.CREATE_TIME, (1, 2)))),
        (
            "lastUpdateTime<1970-01-01T00:00:01.5Z",
            HasTime(TimeField.LAST_UPDATE_TIME, (1500,), Comparison.LESS),
        ),
        ("labels.x:y==v", HasLabel("x:y", OneOf(("v",)))),
        ("labels.a.b!=v", HasLabel("a.b", NoneOf(("v",)))),
        ("labels.==v", HasLabel("", OneOf(("v",)))),
        ("labels.x=isnull=true", Not(HasLabel("x", IsNull(negated=True)))),
        ("labels.x=isnull=false", HasLabel("x", IsNull(negated=True))),
        ("waitsFor==x", WaitsFor(OneOf(("x",)))),
        ("waitsFor!=x", Not(WaitsFor(OneOf(("x",))))),
        ("waitsFor!=x*y", Not(WaitsFor(Like("x*y")))),
        ("waitsFor=out=(x,y)", Not(WaitsFor(OneOf(("x", "y"))))),
        ("waitsFor=isnull=true", Not(WaitsFor())),
        ("waitsFor=isnull=false", WaitsFor()),
        ("id==a;id==b,id==c", AnyOf((AllOf((A, B)), C))),
        ("id==a;(id==b,id==c)", AllOf((A, AnyOf((B, C))))),
        ("id==a and id==b or id==c", AnyOf((AllOf((A, B)), C))),
        ("id==a and(id==b or(id==c))", AllOf((A, AnyOf((B, C))))),
        (" ( ( id == a ) ) ", A),
        ("id==a\n  , id==b", AnyOf((A, B))),
    ],
)
def test_rsql_is_read(rsql: str, expected: JobFilter) -> None:
    assert read_rsql(rsql) == expected


FIELDS = (
    "id, partitionId, name, status, percentageComplete, createTime, lastUpdateTime, attempt, waitsFor, "
    "labels.KEY"
)
OPERATORS = "== != =in= =out= > =gt= >= =ge= < =lt= <= =le= =isnull="


@pytest.mark.parametrize(
    ("rsql", "column", "text"),
    [
        ("", 1, "expected a field or (, found the end"),
        ("  ", 3, "expected a field or (, found the end"),
        ("name", 5, f"expected an operator ({OPERATORS}), found the end"),
        ("name x", 6, f"expected an operator ({OPERATORS}), found 'x'"),
        ("name=x", 5, f"expected an operator ({OPERATORS}), found '='"),
        ("name=like=x", 5, f"'=like=' is not an operator: {OPERATORS}"),
        ("name==", 7, "expected a value, found the end"),
        ("name==;id==a", 7, "expected a value, found ';'"),
        ("name==x y", 9, "expected ; (and), , (or) or the end, found 'y'"),
        ("name==x AND id==y", 9, "expected ; (and), , (or) or the end, found 'AND'"),
        ("name==x and", 12, "expected a field or (, found the end"),
        ("(name==x", 9, "expected ), found the end"),
        ("name==x)", 8, "expected the end, found ')'"),
        ("name=in=(x", 11, "expected , or ), found the end"),
        ("name=in=()", 10, "expected a value, found ')'"),
        ("name=='x", 7, "the text in quotes that begins here does not end"),
        ("name==it's", 9, "the text in quotes that begins here does not end"),
        ("name==(x,y)", 10, "== takes one value; =in= and =out= take several"),
        ("jobId==x", 1, f"'jobId' is not a field: {FIELDS}"),
        ("id==a;ID==x", 7, "'ID' is not a field: id,"),
        ("status==waiting", 9, "'waiting' is not a status: Waiting, Active"),
        ("status==W*", 9, "'W*' is not a status"),
        ("status=isnull=true", 7, "=isnull= is not an operator of status: == !="),
        ("percentageComplete==x", 21, "'x' is not a percentage, such as 21.67"),
        ("percentageComplete==1e9999", 21, "'1e9999' is not a percentage"),
        ("percentageComplete==NaN", 21, "'NaN' is not a percentage"),
        ("attempt==1.5", 10, "'1.5' is not a whole number, such as 2"),
        ("attempt==9999999999", 10, "'9999999999' is not a whole number"),
        ("createTime>yesterday", 12, "'yesterday' is not a time since 1970"),
        ("waitsFor>x", 9, "> is not an operator of waitsFor: == != =in= =out= =isnull="),
        ("name=isnull=yes", 13, "'yes' is not true or false"),
        ("name==x\0", 8, "a NUL or half a character, which no job has"),
        ("name=='\ud800'", 8, "a NUL or half a character, which no job has"),
        ("x" * 50_000, 50_001, "expected an operator"),
        ("x" * 50_000 + "==1", 1, f"'{'x' * 40}...' is not a field"),
    ],
)  # fmt: skip
def test_what_is_no_rsql_is_refused_with_the_place(rsql: str, column: int, text: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        read_rsql(rsql)
    assert str(caught.value).startswith(f"the filter is wrong at column {column}: {text}")
    assert len(str(caught.value)) < 300


def test_a_filter_is_bounded() -> None:
    def nested(depth: int) -> str:
        return "(" * depth + "id==a" + ")" * depth

    def several(number: int) -> str:
        return f"id=in=({','.join(['a'] * number)})"

    for rsql in (
        nested(MAX_DEPTH),
        ",".join(["id==a"] * MAX_COMPARISONS),
        several(MAX_VALUES),
        "id=='" + "a" * (MAX_CHARS - 6) + "'",
    ):
        read_rsql(rsql)
    for rsql, text in (
        (nested(MAX_DEPTH + 1), "at column 1: more than 50 parentheses within each other"),
        (nested(MAX_CHARS // 2 - 10), "more than 50 parentheses"),
        ("(" * MAX_CHARS, "expected a field"),
        (",".join(["id==a"] * (MAX_COMPARISONS + 1)), "the filter has 101 comparisons, and can have 100"),
        (",".join([f"({nested(1)};id==b)"] * 51), "the filter has 102 comparisons, and can have 100"),
        (several(MAX_VALUES + 1), "2,001 values, and there can be 2,000"),
        (";".join([several(MAX_VALUES)] * 2), "the filter has 4,000 values, and can have 2,000"),
        ("id=='" + "a" * MAX_CHARS + "'", "the filter has 100,006 characters, and can have 100,000"),
    ):
        with pytest.raises(InvalidQuery, match=text.replace("(", r"\(")):
            read_rsql(rsql)
