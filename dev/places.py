"""Numbered places, so that testbeds of concurrent runs share nothing."""

import fcntl
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dev.stack.paths import STATE

_TESTBEDS = STATE / "testbed"
_MOST_AT_ONCE = 9


@dataclass(frozen=True)
class Place:
    """A numbered place for one testbed: two concurrent runs get two, and a place is reused."""

    number: int
    lock: IO[str]

    @property
    def state(self) -> Path:
        """Where this testbed's processes keep their files and logs."""
        return _TESTBEDS / str(self.number)

    @classmethod
    def take(cls) -> "Place":
        """The first place that no other running process holds; raises RuntimeError when all are taken."""
        for number in range(1, _MOST_AT_ONCE + 1):
            folder = _TESTBEDS / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / "lock").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                continue
            return cls(number, lock)
        raise RuntimeError(f"{_MOST_AT_ONCE} testbeds are running already; end one of them")
