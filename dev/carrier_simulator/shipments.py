"""Shipments: booked once per key, moved status by status, each move with its event."""

import hashlib
import json
import secrets
import time
from datetime import UTC, datetime, timedelta

from dev.carrier_simulator.rates import SCHEMA as RATES_SCHEMA
from dev.carrier_simulator.rates import Rates, refuse_undeliverable
from dev.carrier_simulator.settings import Settings
from dev.carrier_simulator.wire import (
    FINAL,
    STATUSES,
    TROUBLE,
    WAITING_POSTAL_CODE,
    Advance,
    Booking,
    CarrierError,
    Json,
    Resend,
)
from dev.database import Database
from dev.outbox import SCHEMA as OUTBOX_SCHEMA
from dev.outbox import Outbox

SCHEMA = (
    OUTBOX_SCHEMA
    + RATES_SCHEMA
    + """
CREATE TABLE IF NOT EXISTS shipments (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, reference TEXT NOT NULL, key TEXT NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL, status TEXT NOT NULL, progress TEXT NOT NULL, sequence INTEGER NOT NULL,
    tracking_number TEXT NOT NULL, body TEXT NOT NULL, created REAL NOT NULL, next_move_at REAL);
CREATE INDEX IF NOT EXISTS shipments_reference ON shipments (reference);
CREATE INDEX IF NOT EXISTS shipments_due ON shipments (next_move_at);
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, shipment TEXT NOT NULL, sequence INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_shipment ON events (shipment, sequence);
"""
)

_PLACES = {"dispatched": "Origin depot", "in_transit": "Regional hub", "out_for_delivery": "Delivery depot"}


class Shipments:
    """The carrier's records. Every public method is one transaction."""

    def __init__(self, database: Database, outbox: Outbox, rates: Rates, settings: Settings) -> None:
        self._database = database
        self._rates = rates
        self._outbox = outbox
        self._settings = settings

    def book(self, booking: Booking, key: str) -> tuple[Json, bool]:
        """Book once per key; answers the shipment and whether the key had been used before."""
        fingerprint = hashlib.sha256(booking.model_dump_json().encode()).hexdigest()
        with self._database.transaction():
            known = self._database.row("SELECT id, fingerprint FROM shipments WHERE key=?", key)
            if known and known["fingerprint"] != fingerprint:
                message = "This Idempotency-Key was used for another booking."
                raise CarrierError(422, "idempotency_key_reused", message)
            if known:
                return self._as_booked(known["id"]), True
            refuse_undeliverable(booking)
            return self._insert(booking, key, fingerprint), False

    def get(self, name: str) -> Json:
        """One shipment as it is now, with its events so far."""
        row = self._database.row("SELECT * FROM shipments WHERE id=?", name)
        if row is None:
            raise CarrierError(404, "shipment_not_found", f"There is no shipment {name}.")
        body: Json = json.loads(row["body"])
        events = [
            {
                "status": event["data"]["status"],
                "occurred_at": event["timestamp"],
                "location": event["data"]["location"],
            }
            for event in self.events(name)
        ]
        last = events[-1] if events else {"occurred_at": _moment(row["created"]), "location": None}
        now = {"status": row["status"], "progress": row["progress"], "sequence": row["sequence"]}
        return {**body, **now, "occurred_at": last["occurred_at"], "location": last["location"], "events": events}

    def find(self, reference: str | None = None, tracking_number: str | None = None) -> list[Json]:
        """Shipments, newest first, by what their sender or recipient knows of them."""
        sql = (
            "SELECT id, key FROM shipments WHERE (? IS NULL OR reference=?) AND (? IS NULL OR tracking_number=?) "
            "ORDER BY seq DESC"
        )
        rows = self._database.rows(sql, reference, reference, tracking_number, tracking_number)
        return [{**self.get(row["id"]), "idempotency_key": row["key"]} for row in rows]

    def cancel(self, name: str) -> Json:
        """Cancel a shipment that has not been dispatched; cancelling twice is no error."""
        with self._database.transaction():
            shipment = self.get(name)
            if shipment["status"] not in ("booked", "cancelled"):
                raise CarrierError(409, "already_dispatched", "The shipment is on its way and cannot be cancelled.")
            sql = "UPDATE shipments SET status='cancelled', next_move_at=NULL WHERE id=?"
            self._database.execute(sql, name)
            return self.get(name)

    def advance(self, name: str, move: Advance) -> Json:
        """Move a parcel by hand, through every status between; only forwards, or into trouble."""
        with self._database.transaction():
            shipment = self.get(name)
            ahead = _ahead(shipment, move.to)
            if shipment["status"] in FINAL or not ahead:
                message = f"A shipment that is {shipment['status']} cannot become {move.to}."
                raise CarrierError(409, "illegal_move", message)
            for place, status in enumerate(ahead):
                # A little apart, because deliveries due at one moment overtake each other.
                delay = 0.1 * (len(ahead) - place if move.reversed else place)
                self._move(name, status, delay, silent=move.silent)
            return self.get(name)

    def move_due(self) -> float | None:
        """Move every parcel whose time has come; answers when the next one is due."""
        with self._database.transaction():
            due = self._database.rows("SELECT id, progress FROM shipments WHERE next_move_at<=?", time.time())
            for row in due:
                self._move(row["id"], STATUSES[STATUSES.index(row["progress"]) + 1])
            following = self._database.row("SELECT MIN(next_move_at) AS due FROM shipments")
        return following["due"] if following else None

    def events(self, name: str) -> list[Json]:
        """Every event of a shipment, in the order things happened."""
        rows = self._database.rows("SELECT id, body FROM events WHERE shipment=? ORDER BY sequence", name)
        return [{"id": row["id"], **json.loads(row["body"])} for row in rows]

    def resend(self, name: str, request: Resend) -> int:
        """Queue events again, in any order a test wants."""
        self.get(name)
        rows = self._database.rows("SELECT * FROM events WHERE shipment=? ORDER BY sequence", name)
        events = {row["sequence"]: row for row in rows}
        sequences = list(events) if request.sequences is None else request.sequences
        if unknown := [number for number in sequences if number not in events]:
            raise CarrierError(404, "event_not_found", f"There are no events {unknown} of {name}.")
        queue = [events[number] for number in sequences] * request.times
        with self._database.transaction():
            for place, event in enumerate(queue):
                self._outbox.put(event["id"], event["body"], 0.1 * place)
        return len(queue)

    def _insert(self, booking: Booking, key: str, fingerprint: str) -> Json:
        name, number = f"shp_{secrets.token_hex(10)}", f"SIM{secrets.randbelow(10**12):012d}"
        rate = self._rate_of(booking)
        days = 2 if rate["service"] == "express" else 5
        body = {
            "id": name,
            "reference": booking.reference,
            "status": "booked",
            "service": rate["service"],
            "rate": rate,
            "tracking_number": number,
            "tracking_url": f"{self._settings.public_url}/track/{number}",
            "label_url": f"{self._settings.public_url}/labels/{name}.pdf",
            "estimated_delivery": (datetime.now(UTC) + timedelta(days=days)).date().isoformat(),
            "ship_from": booking.ship_from.model_dump(),
            "ship_to": booking.ship_to.model_dump(),
            "parcels": [parcel.model_dump() for parcel in booking.parcels],
        }
        waits = self._settings.manual or booking.ship_to.postal_code == WAITING_POSTAL_CODE
        due = None if waits else time.time() + self._settings.step_seconds
        sql = (
            "INSERT INTO shipments (id, reference, key, fingerprint, status, progress, sequence, tracking_number, "
            "body, created, next_move_at) VALUES (?,?,?,?,'booked','booked',0,?,?,?,?)"
        )
        values = (name, booking.reference, key, fingerprint, number, json.dumps(body), time.time(), due)
        self._database.execute(sql, *values)
        return body

    def _rate_of(self, booking: Booking) -> Json:
        if booking.rate is not None:
            return self._rates.get(booking.rate, booking)
        assert booking.service is not None
        return self._rates.of_service(booking.service, booking)

    def _as_booked(self, name: str) -> Json:
        row = self._database.row("SELECT body FROM shipments WHERE id=?", name)
        body: Json = json.loads(row["body"]) if row else {}
        return body

    def _move(self, name: str, status: str, delay: float = 0.0, *, silent: bool = False) -> None:
        """Write the new status and its event together; a parcel in trouble stops."""
        shipment = self.get(name)
        moves_on = status not in ("delivered", *TROUBLE) and not self._settings.manual
        waits = shipment["ship_to"]["postal_code"] == WAITING_POSTAL_CODE
        due = time.time() + self._settings.step_seconds if moves_on and not waits else None
        progress = shipment["progress"] if status in TROUBLE else status
        sequence = shipment["sequence"] + 1
        sql = "UPDATE shipments SET status=?, progress=?, sequence=?, next_move_at=? WHERE id=?"
        self._database.execute(sql, status, progress, sequence, due, name)
        data = {
            "shipment_id": name,
            "reference": shipment["reference"],
            "tracking_number": shipment["tracking_number"],
            "status": status,
            "sequence": sequence,
            "location": _PLACES.get(status) or shipment["ship_to"]["city"],
        }
        event_id = f"msg_{secrets.token_hex(12)}"
        body = json.dumps({"type": f"shipment.{status}", "timestamp": datetime.now(UTC).isoformat(), "data": data})
        self._database.execute("INSERT INTO events VALUES (?,?,?,?)", event_id, name, sequence, body)
        if not silent:
            self._outbox.put_new(event_id, body, delay)


def _ahead(shipment: Json, to: str) -> tuple[str, ...]:
    here = STATUSES.index(shipment["progress"])
    if to not in TROUBLE:
        return STATUSES[here + 1 : STATUSES.index(to) + 1]
    left_first = here == 0 and to in ("returned", "lost")
    return (STATUSES[1], to) if left_first else (to,)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
