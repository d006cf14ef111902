"""Which fault strikes which order: in our worker, kept in files that outlive one that is killed, or at the carrier."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

import httpx2

TIMEOUT = timedelta(seconds=3)  # of every call, in workers that fail on command


class Kind(StrEnum):
    """How an attempt at an activity fails, or what it meets."""

    FAILS_BEFORE = "fails before"
    FAILS_AFTER = "fails after"
    TIMES_OUT = "times out after"
    KILLED = "worker killed"
    INVALID_DATA = "invalid data"
    ORDER_TERMINATED = "order terminated"


RETRIED = (Kind.FAILS_BEFORE, Kind.FAILS_AFTER, Kind.TIMES_OUT, Kind.KILLED)
"""What the next attempt mends."""


class CarrierAnswer(StrEnum):
    """What the carrier answers instead of what it should, or that it does not answer: faults of its simulator."""

    WRONG_KEY = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    CONFLICT = "409"
    TOO_MANY = "429"
    BROKEN = "500"
    TIMES_OUT_BEFORE = "timeout_before"
    TIMES_OUT_AFTER = "timeout_after"


# What an activity asks of the carrier.
CARRIER_OPERATIONS = {"book_shipment": ("rates", "book"), "cancel_shipment": ("cancel",)}


@dataclass(frozen=True)
class Fault:
    """The first attempt at this activity fails in this way; where the order calls it more than once, the call whose
    idempotency key ends in `step`. A fault at the carrier names the operation that meets it as its `step`.
    """

    activity: str
    kind: Kind | CarrierAnswer
    step: str = ""

    @property
    def at(self) -> str:
        """Where it strikes: the activity, and what that asks of the carrier when it is the carrier that fails."""
        return f"{self.activity}: {self.step}" if isinstance(self.kind, CarrierAnswer) else self.activity


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

    def strike(self, subject: str, call: str = "") -> bool:
        """Whether this process is the one whose attempt fails; `call` is named where it fails again when repeated."""
        try:
            struck = os.open(self._path(subject, "struck"), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        os.write(struck, call.encode())
        os.close(struck)
        return True

    def strikes_again(self, subject: str, call: str) -> bool:
        """Whether this is the call that has failed: a workflow task that is lost repeats its local activities."""
        with suppress(FileNotFoundError):
            return self._path(subject, "struck").read_text() == call
        return False

    def struck(self, subject: str) -> bool:
        """Whether the fault has struck."""
        return self._path(subject, "struck").exists()

    def _path(self, subject: str, state: str) -> Path:
        return self._folder / f"{subject}.{state}"


class CarrierFault:
    """A fault at the carrier, which strikes the first request about one parcel."""

    def __init__(self, carrier: str, reference: str, fault: Fault) -> None:
        self._address = f"{carrier}/_control/faults"
        body = {
            "kind": fault.kind,
            "match": {"operation": fault.step, "reference": reference},
            "seconds": 1.5 * TIMEOUT.total_seconds() if fault.kind.startswith("timeout") else 0,
        }
        self._id = httpx2.post(self._address, json=body, timeout=30).raise_for_status().json()["id"]

    def struck(self) -> bool:
        """Whether the fault has struck."""
        armed = httpx2.get(self._address, timeout=30).raise_for_status().json()
        return any(fault["id"] == self._id and fault["hits"] for fault in armed)
