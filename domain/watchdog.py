"""What is done about something that nobody answers, and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum


class Level(Enum):
    """What is done, and after how many times the time there was to answer."""

    REMINDED = 1
    ESCALATED = 2
    DECIDED = 4


@dataclass(frozen=True)
class AnswerTimes:
    """How soon what needs an operator is to be answered: as a rule, and for some codes."""

    rule: timedelta
    by_code: Mapping[str, timedelta]
