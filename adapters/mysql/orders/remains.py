"""What remains to be done of an order that has ended: parcels under way, money that is held, stock that is reserved."""

import sqlalchemy as sa

from adapters.mysql.payments.credit_balances import credit_of_order
from adapters.mysql.payments.ledger import balances
from adapters.mysql.tables.orders import parcels
from adapters.mysql.tables.stock import reservations
from domain.fulfilment import ParcelStatus
from domain.ledger import Account

# What was dispatched, and whatever is shipped in the place of another.
UNDER_WAY = sa.or_(
    parcels.c.status.in_(sorted(status for status in ParcelStatus if not status.is_final and status.was_dispatched)),
    sa.and_(
        parcels.c.replaces.is_not(None),
        parcels.c.status.in_(sorted(status for status in ParcelStatus if not status.is_final)),
    ),
)


def holds_money(connection: sa.Connection, order_id: str) -> bool:
    """Whether something is authorized, by card or as store credit, that is neither captured nor voided."""
    return balances(connection, order_id)[Account.HELD] + credit_of_order(connection, order_id).held > 0


def anything_remains(connection: sa.Connection, order_id: str) -> bool:
    """Whether a workflow of an order that has ended would have anything to do."""
    under_way = sa.select(parcels.c.number).where(parcels.c.order_id == order_id, UNDER_WAY)
    reserved = sa.select(reservations.c.order_id).where(reservations.c.order_id == order_id, reservations.c.open)
    if any(connection.execute(query.limit(1)).first() is not None for query in (under_way, reserved)):
        return True
    return holds_money(connection, order_id)
