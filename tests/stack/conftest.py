"""Fixtures of the tests of local stacks."""

from tests.support.folders import open_folder

__all__ = ["open_folder"]
