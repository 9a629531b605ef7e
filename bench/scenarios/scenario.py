"""The interface of a scenario."""

from typing import Protocol

from bench.outcome import Outcome
from bench.session import BenchSession, Options


class Scenario(Protocol):
    """Something that is measured and verified."""

    @property
    def name(self) -> str:
        """Its name on the command line."""

    @property
    def description(self) -> str:
        """A description in a few words."""

    @property
    def quick(self) -> bool:
        """Whether a quick run that names no scenario has it."""

    @property
    def usual(self) -> bool:
        """Whether any other run that names no scenario has it."""

    def steps(self, options: Options) -> int:
        """Return the number of measurements."""

    def run(self, session: BenchSession) -> Outcome:
        """Measure, and verify the results.

        :raises WrongResult: a result is wrong.
        """
