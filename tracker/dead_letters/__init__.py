"""Dead letters: which there are, what they hold, and what replays or drops them."""

from tracker.dead_letters.changing import ChangeCounts, LetterChanger
from tracker.dead_letters.letter import DeadLetter, LetterFilter
from tracker.dead_letters.reading import FoundLetter, LetterReader, LetterScan
from tracker.dead_letters.replaying import Change, Replay, drop
from tracker.dead_letters.selection import Selection
from tracker.dead_letters.state import LetterState, state_topic
from tracker.dead_letters.text import read_reason, read_record
from tracker.times import read_time

__all__ = [
    "Change",
    "ChangeCounts",
    "DeadLetter",
    "FoundLetter",
    "LetterChanger",
    "LetterFilter",
    "LetterReader",
    "LetterScan",
    "LetterState",
    "Replay",
    "Selection",
    "drop",
    "read_reason",
    "read_record",
    "read_time",
    "state_topic",
]
