"""Whether cached carts in Redis may be used: read from MongoDB twice a second, never per request.

A process that changes a cart and cannot reach Redis would leave a stale cart there that others can still read. So it
first suspends the cache: it raises the epoch in MongoDB, which outdates every cached cart, and waits until each process
has noticed or stopped to use any. With each further change it keeps the cache suspended, so that only the first change
of an outage waits. Clocks of two processes may differ by seven seconds.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, DuplicateKeyError, PyMongoError

_log = structlog.get_logger(__name__)
_ID = "epoch"
_LOOK_SECONDS = 0.5
VALID_SECONDS = 1.5  # how long the epoch last read from MongoDB is valid
_NOTICED_SECONDS = 2.0  # after so long nobody uses the epoch before
_SUSPENDED_SECONDS = 15.0
_RENEW_SECONDS = 3.0
_COVERED_SECONDS = 8.0


class CacheEpoch:
    """One per process. Cached carts are used only while `watching`."""

    def __init__(self, mongo: Database[dict[str, Any]]) -> None:
        self._state = mongo["cart_cache_epoch"]
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._epoch: int | None = None
        self._begun = self._renewed = float("-inf")
        self._away: PyMongoError | None = None

    def check(self) -> None:
        """Raise at once when MongoDB did not answer last time, so that requests do not queue for it."""
        if self._away is not None:
            raise ConnectionFailure(f"MongoDB is away: {self._away}"[:300])

    def current(self) -> int | None:
        """The epoch whose cached carts are valid at this moment; None when none are."""
        return self._epoch if time.monotonic() - self._read_at < VALID_SECONDS else None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keep reading MongoDB, in a thread of its own."""
        stop = threading.Event()
        thread = threading.Thread(target=self._watch, args=(stop,), name="cart-cache-epoch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def suspend(self) -> None:
        """Have no process use any cached cart, also those this process could not replace; raises PyMongoError."""
        with self._lock:
            now = time.monotonic()
            if now - self._renewed > _COVERED_SECONDS:
                self._write({"$inc": {"epoch": 1}})
                self._begun = time.monotonic()
                _log.warning("cached carts are suspended: a change cannot be written to Redis")
            elif now - self._renewed > _RENEW_SECONDS:
                self._write({})
            wait = self._begun + _NOTICED_SECONDS - time.monotonic()
        if wait > 0:
            time.sleep(wait)

    def refresh(self) -> None:
        """Read MongoDB once; raises PyMongoError."""
        read_at = time.monotonic()
        state = self._state.find_one({"_id": _ID}) or {}
        until = state.get("suspended_until")
        suspended = until is not None and until > datetime.now(UTC)
        self._epoch = None if suspended else state.get("epoch", 0) + 1
        self._read_at = read_at

    def _write(self, extra: dict[str, Any]) -> None:
        # From before it is written, so that the others' clocks see it end no sooner than ours.
        renewed = time.monotonic()
        until = datetime.now(UTC) + timedelta(seconds=_SUSPENDED_SECONDS)
        change = {"$max": {"suspended_until": until}, **extra}
        try:
            self._state.update_one({"_id": _ID}, change, upsert=True)
        except DuplicateKeyError:  # two processes were the first: the other has made the document
            self._state.update_one({"_id": _ID}, change)
        self._renewed = renewed
        self._epoch = None

    def _watch(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.refresh()
                self._away = None
            except PyMongoError as error:
                if self._away is None:
                    _log.warning("cached carts are not used: MongoDB is away", error=str(error)[:200])
                self._away = error
            stop.wait(_LOOK_SECONDS)
        self._away = None
