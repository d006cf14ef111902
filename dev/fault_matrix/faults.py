"""Which fault strikes which order, kept in files so that it outlives a worker that is killed."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """How an attempt at an activity fails."""

    FAILS_BEFORE = "fails before"
    FAILS_AFTER = "fails after"
    TIMES_OUT = "times out after"
    KILLED = "worker killed"


@dataclass(frozen=True)
class Fault:
    """The first attempt at this activity fails in this way; where the order calls it more than once, the call whose
    idempotency key ends in `step`.
    """

    activity: str
    kind: Kind
    step: str = ""


class Faults:
    """One file per subject: the order's id, or another id that a workflow about it has in its own. Each fault
    strikes once, in whichever process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def arm(self, subject: str, fault: Fault) -> None:
        """Set the fault of a subject, before its workflow starts."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path(subject, "armed").write_text(json.dumps(asdict(fault)))

    def armed(self, subject: str, activity: str, key: str) -> Kind | None:
        """How this activity of the subject fails under this idempotency key, unless it has failed already."""
        with suppress(FileNotFoundError):
            armed = json.loads(self._path(subject, "armed").read_text())
            matches = armed["activity"] == activity and key.endswith(armed["step"])
            if matches and not self.struck(subject):
                return Kind(armed["kind"])
        return None

    def strike(self, subject: str) -> bool:
        """Whether this process is the one whose attempt fails."""
        try:
            os.close(os.open(self._path(subject, "struck"), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    def struck(self, subject: str) -> bool:
        """Whether the fault has struck."""
        return self._path(subject, "struck").exists()

    def _path(self, subject: str, state: str) -> Path:
        return self._folder / f"{subject}.{state}"
