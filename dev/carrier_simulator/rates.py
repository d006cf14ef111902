"""Rates: what the carrier charges for a shipment by each service that takes it, quoted for an hour."""

import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from dev.carrier_simulator.wire import (
    EXPRESS_ALONE_POSTAL_CODE,
    UNDELIVERABLE_POSTAL_CODE,
    CarrierError,
    Json,
    Service,
    Shipment,
)
from dev.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS rates (
    id TEXT PRIMARY KEY, shipment TEXT NOT NULL, service TEXT NOT NULL, amount INTEGER NOT NULL,
    currency TEXT NOT NULL, expires REAL NOT NULL);
"""

CURRENCY = "EUR"
_VALID_SECONDS = 3600
_EUROPE = frozenset(
    {
        *("AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GR", "HR", "HU"),
        *("IE", "IT", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK"),
    }
)


@dataclass(frozen=True)
class _Tariff:
    """A price per parcel and per started kilogram within a country, and the heaviest parcel."""

    base: int
    per_kilogram: int
    max_grams: int


_TARIFFS: dict[Service, _Tariff] = {
    "standard": _Tariff(340, 40, 1_000_000),
    "express": _Tariff(890, 110, 100_000),
    "pickup": _Tariff(0, 0, 20_000),  # its recipient collects it
}


class Rates:
    """The rates that were quoted. Every public method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def quote(self, shipment: Shipment) -> list[Json]:
        """A rate for each service that takes the shipment."""
        refuse_undeliverable(shipment)
        expires = time.time() + _VALID_SECONDS
        found = [(f"rate_{secrets.token_hex(10)}", service, price) for service, price in prices(shipment).items()]
        with self._database.transaction():
            self._database.execute("DELETE FROM rates WHERE expires<?", time.time())
            for name, service, price in found:
                values = (name, _fingerprint(shipment), service, price, CURRENCY, expires)
                self._database.execute("INSERT INTO rates VALUES (?,?,?,?,?,?)", *values)
        until = datetime.fromtimestamp(expires, UTC).isoformat()
        return [{**_rate(name, service, price), "expires_at": until} for name, service, price in found]

    def get(self, name: str, shipment: Shipment) -> Json:
        """The rate that a booking of this shipment names."""
        row = self._database.row("SELECT * FROM rates WHERE id=? AND expires>?", name, time.time())
        if row is None:
            raise CarrierError(422, "rate_expired", "There is no such rate any more: ask for rates again.")
        if row["shipment"] != _fingerprint(shipment):
            raise CarrierError(422, "rate_mismatch", "This rate was quoted for another shipment.")
        return _rate(name, row["service"], row["amount"])

    def of_service(self, service: Service, shipment: Shipment) -> Json:
        """What a booking costs that names no rate."""
        price = prices(shipment).get(service)
        if price is None:
            raise CarrierError(422, "service_unavailable", f"We do not take this shipment by {service}.")
        return _rate(None, service, price)

    def expire(self) -> int:
        """Let no rate that was quoted be booked any more."""
        return self._database.execute("DELETE FROM rates")


def refuse_undeliverable(shipment: Shipment) -> None:
    """Raise for an address that no service goes to."""
    if shipment.ship_to.postal_code == UNDELIVERABLE_POSTAL_CODE:
        raise CarrierError(422, "address_undeliverable", "We do not deliver to this address.")


def prices(shipment: Shipment) -> dict[Service, int]:
    """The price by each service that takes every parcel of it: twice as much abroad, five times overseas."""
    heaviest = max(parcel.weight_grams for parcel in shipment.parcels)
    countries = {shipment.ship_from.country, shipment.ship_to.country}
    factor = 1 if len(countries) == 1 else 2 if countries <= _EUROPE else 5
    express_alone = shipment.ship_to.postal_code == EXPRESS_ALONE_POSTAL_CODE
    return {
        service: factor
        * sum(tariff.base + tariff.per_kilogram * _kilograms(one.weight_grams) for one in shipment.parcels)
        for service, tariff in _TARIFFS.items()
        if heaviest <= tariff.max_grams and (service == "express" or not express_alone)
    }


def _kilograms(grams: int) -> int:
    return -(-grams // 1000)


def _rate(name: str | None, service: str, amount: int) -> Json:
    return {"id": name, "service": service, "amount": amount, "currency": CURRENCY}


def _fingerprint(shipment: Shipment) -> str:
    parts = shipment.model_dump_json(include={"ship_from", "ship_to", "parcels"})
    return hashlib.sha256(parts.encode()).hexdigest()
