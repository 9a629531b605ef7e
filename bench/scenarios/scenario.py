"""What a scenario is."""

from typing import Protocol

from bench.outcome import Outcome
from bench.session import Options, Session


class Scenario(Protocol):
    """Something that is measured, and verified.

    `quick`: it is part of a run that names no scenario and is to be quick. `usual`: and of one that is not.
    """

    @property
    def name(self) -> str:
        """What a user calls it."""

    @property
    def what(self) -> str:
        """What it is, in a few words."""

    @property
    def quick(self) -> bool:
        """Whether a quick run has it."""

    @property
    def usual(self) -> bool:
        """Whether a run that names no scenario has it."""

    def steps(self, options: Options) -> int:
        """Return how many measurements there will be."""

    def run(self, session: Session) -> Outcome:
        """Measure.

        :raises WrongResult: what came out is wrong.
        """
