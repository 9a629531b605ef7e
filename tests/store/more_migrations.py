"""Migrations after the real ones, for the time of a test."""

import pytest

from tracker.store import migrate
from tracker.store.migrate import Migration, checksum, known_migrations

ALL = [f"{migration.version:04d}_{migration.name}" for migration in known_migrations()]


def follow(monkeypatch: pytest.MonkeyPatch, *texts: str) -> None:
    """Make these the migrations that the program knows after its real ones."""
    more = [
        Migration(len(ALL) + number, f"more_{number}", text, checksum(text))
        for number, text in enumerate(texts, 1)
    ]
    migrations = (*known_migrations(), *more)
    monkeypatch.setattr(migrate, "known_migrations", lambda: migrations)
