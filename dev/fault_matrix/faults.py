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
    """The first attempt at this activity goes wrong in this way."""

    activity: str
    kind: Kind


class Faults:
    """One file per order; each fault strikes once, whichever process it meets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def arm(self, order_id: str, fault: Fault) -> None:
        """Before the order begins."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path(order_id, "armed").write_text(json.dumps(asdict(fault)))

    def armed(self, order_id: str, activity: str) -> Kind | None:
        """What is to happen to this activity of this order, unless it has happened."""
        with suppress(FileNotFoundError):
            told = json.loads(self._path(order_id, "armed").read_text())
            if told["activity"] == activity and not self.struck(order_id):
                return Kind(told["kind"])
        return None

    def strike(self, order_id: str) -> bool:
        """Whether this process is the one whose attempt goes wrong."""
        try:
            os.close(os.open(self._path(order_id, "struck"), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    def struck(self, order_id: str) -> bool:
        """Whether it has happened."""
        return self._path(order_id, "struck").exists()

    def _path(self, order_id: str, state: str) -> Path:
        return self._folder / f"{order_id}.{state}"
