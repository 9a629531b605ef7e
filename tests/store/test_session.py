"""A session is one only once all that belongs to it has begun."""

from contextlib import closing

import psycopg
import pytest

from tracker.store.session import Session


class Begins(Session):
    """Its beginning fails the first time, as where PostgreSQL ends a statement and not the connection."""

    begun = 0

    def _begin(self) -> None:
        self.begun += 1
        self._open.execute("SELECT 1 / %s", [self.begun - 1])


def test_one_whose_beginning_fails_is_begun_again(database_url: str) -> None:
    with closing(Begins(database_url, "test")) as session:
        with pytest.raises(psycopg.errors.DivisionByZero):
            session.connect()
        assert not session.is_sound
        assert session.connect(), "it is new"
        assert session.begun == 2
        assert not session.connect(), "it is sound, and has begun"
        assert session.begun == 2
