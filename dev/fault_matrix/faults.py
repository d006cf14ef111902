"""What shall go wrong for which order, told to the workers by files: they outlive a worker that is killed."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """How an attempt at an activity goes wrong."""

    FAILS_BEFORE = "fails before"
    FAILS_AFTER = "fails after"
    TIMES_OUT = "times out after"
    KILLED = "worker killed"


@dataclass(frozen=True)
class Fault:
    """The first attempt at this activity goes wrong in this way; at the one whose idempotency key ends in `step`, where
    the order meets the activity more than once.
    """

    activity: str
    kind: Kind
    step: str = ""


class Faults:
    """One file per subject: an order, or what a workflow about it has in its id instead. Each fault strikes once,
    whichever process it meets.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def arm(self, subject: str, fault: Fault) -> None:
        """Before its workflow begins."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path(subject, "armed").write_text(json.dumps(asdict(fault)))

    def armed(self, subject: str, activity: str, key: str) -> Kind | None:
        """What is to happen to this activity of the subject under this idempotency key, unless it has happened."""
        with suppress(FileNotFoundError):
            told = json.loads(self._path(subject, "armed").read_text())
            met = told["activity"] == activity and key.endswith(told["step"])
            if met and not self.struck(subject):
                return Kind(told["kind"])
        return None

    def strike(self, subject: str) -> bool:
        """Whether this process is the one whose attempt goes wrong."""
        try:
            os.close(os.open(self._path(subject, "struck"), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    def struck(self, subject: str) -> bool:
        """Whether it has happened."""
        return self._path(subject, "struck").exists()

    def _path(self, subject: str, state: str) -> Path:
        return self._folder / f"{subject}.{state}"
