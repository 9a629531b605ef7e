"""Fixtures of the tests of docs/troubleshooting.md."""

from tests.support.deployment_fixtures import deploy

__all__ = ["deploy"]
