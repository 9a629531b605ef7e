"""Every error of PostgreSQL and of its driver is one sentence."""

import psycopg
import pytest
from psycopg import errors

from tracker.errors import DatabaseReadOnly, DatabaseUnavailable, TrackerError, TransactionConflict
from tracker.store.explain import PASSING, explain

CLASSES = {code: kind for code, kind in vars(errors)["_sqlcodes"].items() if len(code) == 5}
DRIVERS = [
    kind
    for kind in vars(psycopg).values()
    if isinstance(kind, type) and issubclass(kind, psycopg.Error) and kind.sqlstate is None
]


def test_there_are_many() -> None:
    assert len({code[:2] for code in CLASSES}) > 35
    assert len(DRIVERS) >= 9


@pytest.mark.parametrize("kind", [*CLASSES.values(), *DRIVERS], ids=lambda kind: kind.__name__)
def test_every_error_is_a_sentence(kind: type[psycopg.Error]) -> None:
    said = explain(kind("what PostgreSQL says.\nDETAIL: more"))
    assert "what PostgreSQL says" in str(said)
    assert "\n" not in str(said)
    assert "DETAIL" not in str(said)
    assert kind.__name__ in str(explain(kind())), (
        "where PostgreSQL says nothing, the error's name stands for it"
    )
    if isinstance(said, DatabaseUnavailable) and kind.sqlstate is not None:
        assert issubclass(kind, PASSING), "what is waited for passes"


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("08006", DatabaseUnavailable, "PostgreSQL is not available"),
        ("57P01", DatabaseUnavailable, "PostgreSQL is not available"),
        ("53100", DatabaseUnavailable, "PostgreSQL cannot do it now"),
        ("53300", DatabaseUnavailable, "PostgreSQL cannot do it now"),
        ("25006", DatabaseReadOnly, "PostgreSQL is available, but only for reading"),
        ("28P01", DatabaseUnavailable, "PostgreSQL refuses the login"),
        ("40P01", TransactionConflict, "conflicted with this one"),
        ("40001", TransactionConflict, "conflicted with this one"),
        ("57014", DatabaseUnavailable, "did not answer in time"),
        ("23505", TrackerError, "PostgreSQL rejects it"),
        ("42P07", TrackerError, r"\(SQLSTATE 42P07\)"),
        ("XX001", TrackerError, "PostgreSQL has failed"),
    ],
)
def test_the_sentence_says_what_it_means(code: str, kind: type[TrackerError], words: str) -> None:
    with pytest.raises(kind, match=words):
        raise explain(CLASSES[code]("reason"))
