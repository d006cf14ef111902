"""Parcels: a change of status with the order's derived status, the shipped stock and one event, in one transaction."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import aware, now
from adapters.mysql.history import Change, LockedOrder, append, lock_order, recorded, select_events
from adapters.mysql.orders.order_rows import parcel_row, parcel_states, this_parcel
from adapters.mysql.orders.reducing import reduce_parcel
from adapters.mysql.orders.reservations import ship
from adapters.mysql.orders.views import shipping_cost
from adapters.mysql.tables.orders import parcels
from adapters.mysql.transactions import in_transaction
from domain.errors import NotFound, UnknownReservation
from domain.events import parcel_event
from domain.fulfilment import ParcelStatus, may_become
from domain.orders import fulfilment_status, status_after_parcels, status_after_replacement
from domain.replacements import of_the_order, standing
from schemas.fulfilment import ParcelRecorded, ParcelReduced, RecordedParcel, RecordParcel, ReduceParcel, Shipment


class Parcels:
    """The parcels of orders."""

    def __init__(self, engine: sa.Engine, refund_after: Mapping[ParcelStatus, timedelta] | None = None) -> None:
        self._engine = engine
        self._refund_after = refund_after or {}

    def read(self, order_id: str, number: int) -> RecordedParcel:
        """What is recorded of the parcel; raises NotFound."""
        steps = select_events(
            lambda events: sa.and_(events.c.order_id == order_id, events.c.step.like(f"parcel-{number}:%")), "step"
        )
        with self._engine.connect() as connection:
            row = parcel_row(connection, order_id, number)
            times = Counter(step.split(":")[1] for step in connection.scalars(steps))
        booked = times[ParcelStatus.BOOKED]
        ended = 1 if booked and row.status == ParcelStatus.ON_HOLD else 0  # the next booking is another
        return RecordedParcel(
            status=ParcelStatus(row.status),
            **_shipment(row),
            booking=max(1, booked + ended),
            exceptions=times[ParcelStatus.EXCEPTION],
            picked=row.picked,
            refunded_at=self._refunded_at(ParcelStatus(row.status), row.updated_at),
        )

    def record(self, command: RecordParcel) -> ParcelRecorded:
        """Record a change of the parcel; an outdated or repeated one changes nothing and answers the present status."""
        with self._engine.begin() as connection:
            order = lock_order(connection, command.order_id)
            rows = connection.execute(
                sa.select(parcels).where(parcels.c.order_id == command.order_id).order_by(parcels.c.number)
            ).all()
            row = next((row for row in rows if row.number == command.number), None)
            if row is None:
                raise NotFound(f"The order has no parcel {command.number}.")
            before = ParcelStatus(row.status)
            step = f"parcel-{command.number}:{command.status}{f':{command.round}' if command.round > 1 else ''}"
            if not may_become(before, command.status) or recorded(connection, command.order_id, step):
                until = self._refunded_at(before, row.updated_at)
                return ParcelRecorded(number=command.number, status=before, refunded_at=until)
            _write(connection, command, row.shipment_id)
            leaves = command.status.was_dispatched and not before.was_dispatched
            not_reserved = leaves and not _shipped(connection, command)
            missing = {"not_reserved": True} if not_reserved else {}
            change = Change(
                step=step,
                type=parcel_event(command.status),
                actor=command.actor,
                data={"parcel": command.number, **_shown(command), **command.data, **missing},
                **_statuses(order, rows, command),
                occurred_at=command.occurred_at,
            )
            append(connection, order, change)
            return ParcelRecorded(
                number=command.number,
                status=command.status,
                not_reserved=not_reserved,
                refunded_at=self._refunded_at(command.status, now()),
            )

    def reduce(self, command: ReduceParcel) -> ParcelReduced:
        """Take cancelled units out of a parcel without a booking; a repeat changes nothing.

        Raises NotFound, and IllegalMove for a parcel that is booked, or further.
        """
        return in_transaction(self._engine, lambda connection: reduce_parcel(connection, command))

    def _refunded_at(self, status: ParcelStatus, since: datetime) -> datetime | None:
        after = self._refund_after.get(status)
        return aware(since) + after if after is not None else None


def _statuses(order: LockedOrder, rows: Sequence[sa.Row[Any]], command: RecordParcel) -> dict[str, Any]:
    """The order's statuses once the parcel has come to this status."""
    after = [
        replace(state, status=command.status) if state.number == command.number else state
        for state in parcel_states(rows)
    ]
    own, goods = of_the_order(after), fulfilment_status(standing(after))
    if any(row.number == command.number and row.replaces is not None for row in rows):
        status = status_after_replacement(order.status, command.status, own)
    else:
        status = status_after_parcels(order.status, own)
    return {"status": status, "fulfilment_status": goods}


def _shipped(connection: sa.Connection, command: RecordParcel) -> bool:
    """Take it off the stock; False when its stock had been released, because it has left all the same."""
    try:
        ship(connection, command.order_id, command.number, command.actor)
    except UnknownReservation:
        return False
    return True


def _write(connection: sa.Connection, command: RecordParcel, booked: str | None) -> None:
    """Its status, and what is known of its shipment: all of it for another booking, else what is more."""
    another = command.shipment_id not in (None, booked)
    values = {name: value for name, value in _columns(command).items() if another or value is not None}
    connection.execute(
        sa.update(parcels)
        .where(this_parcel(command.order_id, command.number))
        .values(status=command.status, updated_at=now(), **values)
    )


def _columns(shipment: Shipment) -> dict[str, str | int | None]:
    cost = shipment.cost
    return {
        "shipment_id": shipment.shipment_id,
        "tracking_number": shipment.tracking_number,
        "tracking_url": shipment.tracking_url,
        "label_url": shipment.label_url,
        "carrier_service": shipment.service,
        "rate_id": shipment.rate_id,
        "shipping_cost": cost.amount if cost else None,
        "shipping_cost_currency": cost.currency if cost else None,
    }


def _shipment(row: sa.Row[Any]) -> dict[str, Any]:
    return {
        "shipment_id": row.shipment_id,
        "tracking_number": row.tracking_number,
        "tracking_url": row.tracking_url,
        "label_url": row.label_url,
        "service": row.carrier_service,
        "rate_id": row.rate_id,
        "cost": shipping_cost(row),
    }


def _shown(command: RecordParcel) -> dict[str, str]:
    """What the history shows to everybody: neither label nor cost."""
    values = {"tracking_number": command.tracking_number, "tracking_url": command.tracking_url}
    if command.status is ParcelStatus.BOOKED:
        values["service"] = command.service
    return {name: value for name, value in values.items() if value}
