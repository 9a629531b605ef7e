"""Dead letters: which there are, and what they hold."""

from tracker.dead_letters.letter import DeadLetter, LetterFilter
from tracker.dead_letters.reading import FoundLetter, LetterReader, LetterScan
from tracker.dead_letters.state import LetterState, state_topic
from tracker.dead_letters.text import read_reason, read_record
from tracker.times import read_time

__all__ = [
    "DeadLetter",
    "FoundLetter",
    "LetterFilter",
    "LetterReader",
    "LetterScan",
    "LetterState",
    "read_reason",
    "read_record",
    "read_time",
    "state_topic",
]
