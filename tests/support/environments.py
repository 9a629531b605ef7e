"""Environments that tests start from."""

from collections.abc import Mapping

import pytest

from tracker.errors import SettingsError
from tracker.settings import Settings, load
from tracker.settings.loading import Need

ENOUGH = {"TRACKER_KAFKA_BOOTSTRAP_SERVERS": "broker:9092", "TRACKER_DATABASE_URL": "postgresql://db/tracker"}


def loaded(**variables: str) -> Settings:
    """Load the least that is needed, and these variables."""
    return load({**ENOUGH, **variables})


def problems(**variables: str) -> tuple[str, ...]:
    """Load the least that is needed, and these variables, and return what is wrong with them."""
    return problems_of({**ENOUGH, **variables})


def problems_of(environ: Mapping[str, str], *need: Need) -> tuple[str, ...]:
    """Return what is wrong with an environment."""
    with pytest.raises(SettingsError) as caught:
        load(environ, need=need or ("kafka", "database"))
    return caught.value.problems


def problem(**variables: str) -> str:
    """Return the one thing that is wrong."""
    (sentence,) = problems(**variables)
    return sentence
