"""Fixtures of the tests of the clients."""

from tests.support.client_fixtures import client, connection

__all__ = ["client", "connection"]
