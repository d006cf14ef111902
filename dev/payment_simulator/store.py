"""What the simulator remembers: objects, stored answers and the journal of money effects."""

import json
import secrets
import string
import time

from dev.database import Database
from dev.outbox import SCHEMA as OUTBOX_SCHEMA
from dev.payment_simulator.errors import Answer, Json

SCHEMA = (
    OUTBOX_SCHEMA
    + """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, intent TEXT,
    saved REAL NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS objects_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_intent ON objects (intent, kind);
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, path TEXT NOT NULL, status INTEGER NOT NULL,
    body TEXT NOT NULL, request_id TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, effect TEXT NOT NULL, intent TEXT NOT NULL,
    object TEXT NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL, idempotency_key TEXT,
    request_id TEXT NOT NULL, order_id TEXT, metadata TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS timers (object TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS timers_at ON timers (at);
CREATE INDEX IF NOT EXISTS journal_order ON journal (order_id);
CREATE INDEX IF NOT EXISTS journal_intent ON journal (intent);
CREATE TABLE IF NOT EXISTS fees (entry INTEGER PRIMARY KEY, fee INTEGER NOT NULL);
"""
)

_ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str) -> str:
    """A fresh id in Stripe's shape."""
    return f"{prefix}_3{''.join(secrets.choice(_ALPHABET) for _ in range(23))}"


class Store:
    """Typed access to the simulator's SQLite file."""

    def __init__(self, path: str) -> None:
        self.database = Database(path, SCHEMA)

    def save(self, body: Json, intent: str | None = None) -> None:
        """Insert or replace one Stripe object."""
        sql = (
            "INSERT INTO objects (id, kind, intent, saved, body) VALUES (?,?,?,?,?) "
            "ON CONFLICT (id) DO UPDATE SET body=excluded.body"
        )
        self.database.execute(sql, body["id"], body["object"], intent, time.time(), json.dumps(body))

    def find(self, kind: str, name: str | None) -> Json | None:
        """One object by its id."""
        row = self.database.row("SELECT body FROM objects WHERE id=? AND kind=?", name, kind)
        return None if row is None else json.loads(row["body"])

    def newest(self, kind: str, intent: str | None = None, saved_before: float | None = None) -> list[Json]:
        """Objects of a kind, newest first."""
        sql = "SELECT body FROM objects WHERE kind=? AND (? IS NULL OR intent=?) AND (? IS NULL OR saved<=?)"
        rows = self.database.rows(f"{sql} ORDER BY seq DESC", kind, intent, intent, saved_before, saved_before)
        return [json.loads(row["body"]) for row in rows]

    def stored_answer(self, key: str) -> Json | None:
        """What was answered under an idempotency key, with the fingerprint of the request that got it."""
        row = self.database.row("SELECT * FROM answers WHERE key=?", key)
        return None if row is None else dict(row)

    def store_answer(self, key: str, fingerprint: str, path: str, answer: Answer, request_id: str) -> None:
        """Remember the first answer of a key; called in the transaction of the effect itself."""
        sql = "INSERT INTO answers VALUES (?,?,?,?,?,?,?)"
        body = json.dumps(answer.body)
        self.database.execute(sql, key, fingerprint, path, answer.status, body, request_id, time.time())

    def record(
        self, effect: str, intent: Json, object_id: str, amount: int, key: str | None, request_id: str, fee: int = 0
    ) -> None:
        """Append one effect to the journal; a fee that is returned is negative."""
        sql = (
            "INSERT INTO journal (at, effect, intent, object, amount, currency, idempotency_key, request_id, "
            "order_id, metadata) VALUES (?,?,?,?,?,?,?,?,?,?)"
        )
        metadata = intent["metadata"]
        values = (time.time(), effect, intent["id"], object_id, amount, intent["currency"], key, request_id)
        self.database.execute(sql, *values, metadata.get("order_id"), json.dumps(metadata))
        if fee:
            self.database.execute("INSERT INTO fees SELECT MAX(seq), ? FROM journal", fee)

    def journal(self, order_id: str | None = None, intent: str | None = None) -> list[Json]:
        """The journal, oldest first, each effect with the fee it cost."""
        sql = (
            "SELECT journal.*, COALESCE(fee, 0) AS fee FROM journal LEFT JOIN fees ON entry=seq "
            "WHERE (? IS NULL OR order_id=?) AND (? IS NULL OR intent=?) ORDER BY seq"
        )
        rows = self.database.rows(sql, order_id, order_id, intent, intent)
        return [{**dict(row), "metadata": json.loads(row["metadata"])} for row in rows]

    def plan(self, name: str, at: float) -> None:
        """Set the time at which the bank acts on this object by itself."""
        self.database.execute("INSERT OR REPLACE INTO timers VALUES (?,?)", name, at)

    def due(self, now: float) -> list[str]:
        """The objects on which the bank acts now."""
        return [row["object"] for row in self.database.rows("SELECT object FROM timers WHERE at<=? ORDER BY at", now)]

    def done(self, name: str) -> None:
        """Remove the timer of an object."""
        self.database.execute("DELETE FROM timers WHERE object=?", name)

    def forget_answers(self) -> int:
        """Drop every stored answer, as Stripe does once a key is older than a day."""
        return self.database.execute("DELETE FROM answers")
