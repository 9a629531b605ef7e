"""Fixtures of the tests of what is explained."""

from tests.support.client_fixtures import client, connection

__all__ = ["client", "connection"]
