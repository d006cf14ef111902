"""Webhooks sent as real providers send them: stored first, signed per attempt, retried until accepted."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

import httpx2
from pydantic import BaseModel, ConfigDict, Field

from dev.database import Database
from dev.service import log_line

SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL, next_at REAL NOT NULL, last_error TEXT, created REAL NOT NULL, ended REAL);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (state, next_at);
CREATE INDEX IF NOT EXISTS deliveries_event ON deliveries (event_id);
"""

Sign = Callable[[str, str], dict[str, str]]


class DeliveryOptions(BaseModel):
    """How new events are first delivered; the body of `PUT /_control/webhooks`.

    delay_seconds    delays each event
    copies           sends each so often, as a provider that missed our answer does; 0 loses them
    reverse_seconds  sends the events of so many seconds in reverse order
    """

    model_config = ConfigDict(extra="forbid")

    delay_seconds: float = Field(default=0.0, ge=0, le=600)
    copies: int = Field(default=1, ge=0, le=10)
    reverse_seconds: float = Field(default=0.0, ge=0, le=60)


class Outbox:
    """A durable queue of webhook deliveries and the background task that works it.

    An event is written in the transaction of its effect, so neither can exist without
    the other; delivery is at least once and, as with the real providers, in no guaranteed order.
    """

    def __init__(self, database: Database, url: str, sign: Sign, name: str, max_attempts: int | None = None) -> None:
        self._database = database
        self._url = url
        self._sign = sign
        self._max_attempts = max_attempts
        self._logger = logging.getLogger(f"dev.{name}.webhooks")
        self._new = asyncio.Event()
        self._in_flight: dict[int, asyncio.Task[None]] = {}
        self._options = DeliveryOptions()
        self._window_start, self._in_window = 0.0, 0

    def set_delivery(self, options: DeliveryOptions) -> None:
        """Deliver new events so from now on; a restart resets it."""
        self._options = options

    def put_new(self, event_id: str, body: str, delay: float = 0.0) -> None:
        """Queue an event for the first time, with the current delivery options."""
        delay += self._options.delay_seconds + self._delay_in_window()
        for _ in range(self._options.copies):
            self.put(event_id, body, delay)

    def _delay_in_window(self) -> float:
        """How long to delay this event so that each of a window is sent before the one before it."""
        if not (window := self._options.reverse_seconds):
            return 0.0
        now = time.time()
        if now >= self._window_start + window:
            self._window_start, self._in_window = now, 0
        self._in_window += 1
        return self._window_start + window * (1 + 1 / self._in_window) - now

    def put(self, event_id: str, body: str, delay: float = 0.0) -> None:
        """Queue one delivery; the same event may be queued again to make a duplicate."""
        now = time.time()
        sql = "INSERT INTO deliveries (event_id, body, state, attempts, next_at, created) VALUES (?,?,'waiting',0,?,?)"
        self._database.execute(sql, event_id, body, now + delay, now)
        self._new.set()

    def deliveries(self, limit: int) -> list[dict[str, object]]:
        """The newest deliveries and their outcome, without their bodies."""
        sql = (
            "SELECT id, event_id, state, attempts, next_at, last_error, created, ended "
            "FROM deliveries ORDER BY id DESC LIMIT ?"
        )
        return [dict(row) for row in self._database.rows(sql, limit)]

    async def run(self) -> None:
        """Deliver what is due, for ever; cancelling it leaves the queue intact for the next start."""
        async with httpx2.AsyncClient(timeout=10.0) as client:
            try:
                while True:
                    self._new.clear()
                    now = time.time()
                    self._start_due(client, now)
                    await self._rest(now)
            finally:
                for task in self._in_flight.values():
                    task.cancel()
                await asyncio.gather(*self._in_flight.values(), return_exceptions=True)

    def _start_due(self, client: httpx2.AsyncClient, now: float) -> None:
        free = 16 - len(self._in_flight)
        sql = "SELECT * FROM deliveries WHERE state='waiting' AND next_at<=? ORDER BY next_at, id LIMIT 32"
        for row in self._database.rows(sql, now):
            if row["id"] in self._in_flight or free <= 0:
                continue
            free -= 1
            attempt = self._attempt(client, row["id"], row["event_id"], row["body"], row["attempts"] + 1)
            self._in_flight[row["id"]] = asyncio.create_task(attempt)

    async def _rest(self, now: float) -> None:
        """Sleep until a new event, a finished attempt or the next due time, whichever is first."""
        row = self._database.row("SELECT MIN(next_at) AS due FROM deliveries WHERE state='waiting' AND next_at>?", now)
        wait = max(row["due"] - time.time(), 0.01) if row and row["due"] else 60.0
        with suppress(TimeoutError):
            await asyncio.wait_for(self._new.wait(), timeout=wait)

    async def _attempt(self, client: httpx2.AsyncClient, row_id: int, event_id: str, body: str, number: int) -> None:
        """Send once and record the outcome; each attempt is signed with the current time."""
        try:
            error = await self._send(client, event_id, body)
            if error is None:
                state, due = "delivered", time.time()
            else:
                state = "abandoned" if self._max_attempts and number >= self._max_attempts else "waiting"
                due = time.time() + min(0.5 * 2 ** (number - 1), 30.0)
            ended = None if state == "waiting" else time.time()
            sql = "UPDATE deliveries SET state=?, attempts=?, next_at=?, last_error=?, ended=? WHERE id=?"
            self._database.execute(sql, state, number, due, error, ended, row_id)
            # Of a long outage only the first failure and the end are logged.
            if state != "waiting" or number == 1:
                log_line(self._logger, state, event_id=event_id, attempts=number, error=error)
        finally:
            self._in_flight.pop(row_id, None)
            self._new.set()

    async def _send(self, client: httpx2.AsyncClient, event_id: str, body: str) -> str | None:
        headers = {"Content-Type": "application/json", **self._sign(event_id, body)}
        try:
            answer = await client.post(self._url, content=body.encode(), headers=headers)
        except httpx2.HTTPError as error:
            return f"{type(error).__name__}: {error}"
        return None if answer.is_success else f"HTTP {answer.status_code}"
