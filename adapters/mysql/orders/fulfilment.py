"""Parcels: a change of status with the order's derived status, the shipped stock and one event, in one transaction."""

import sqlalchemy as sa

from adapters.mysql.clock import now
from adapters.mysql.history import Change, append, lock_order
from adapters.mysql.orders.reservations import ship
from adapters.mysql.tables.orders import parcels
from domain.errors import NotFound
from domain.events import parcel_event
from domain.fulfilment import ParcelStatus, may_become
from domain.orders import fulfilment_status, status_after_parcels
from schemas.fulfilment import ParcelResult, RecordParcel


class Parcels:
    """The parcels of orders."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def record(self, command: RecordParcel) -> ParcelResult:
        """Record a change of the parcel; an outdated or repeated one changes nothing and answers the present status."""
        with self._engine.begin() as connection:
            order = lock_order(connection, command.order_id)
            rows = connection.execute(
                sa.select(parcels).where(parcels.c.order_id == command.order_id).order_by(parcels.c.number)
            ).all()
            statuses = {row.number: ParcelStatus(row.status) for row in rows}
            before = statuses.get(command.number)
            if before is None:
                raise NotFound(f"The order {command.order_id} has no parcel {command.number}.")
            if not may_become(before, command.status):
                return ParcelResult(number=command.number, status=before)
            statuses[command.number] = command.status
            _write(connection, command)
            if command.status.was_dispatched and not before.was_dispatched:
                ship(connection, command.order_id, command.number, command.actor)
            after = list(statuses.values())
            change = Change(
                step=f"parcel-{command.number}:{command.status}{f':{command.round}' if command.round > 1 else ''}",
                type=parcel_event(command.status),
                actor=command.actor,
                data={"parcel": command.number, **_tracking(command), **command.data},
                status=status_after_parcels(order.status, after),
                fulfilment_status=fulfilment_status(after),
                occurred_at=command.occurred_at,
            )
            append(connection, order, change)
            return ParcelResult(number=command.number, status=command.status)


def _write(connection: sa.Connection, command: RecordParcel) -> None:
    values = {"shipment_id": command.shipment_id, **_tracking(command)}
    connection.execute(
        sa.update(parcels)
        .where(parcels.c.order_id == command.order_id, parcels.c.number == command.number)
        .values(status=command.status, updated_at=now(), **{name: value for name, value in values.items() if value})
    )


def _tracking(command: RecordParcel) -> dict[str, str]:
    values = {"tracking_number": command.tracking_number, "tracking_url": command.tracking_url}
    return {name: value for name, value in values.items() if value}
