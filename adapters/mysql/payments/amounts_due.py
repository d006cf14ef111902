"""Money that is to be moved and has not been, over all orders."""

import sqlalchemy as sa

from adapters.mysql.payments.facts import PaymentFactsReader
from adapters.mysql.tables.orders import orders, parcels
from adapters.mysql.tables.payments import refunds
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import FINAL_STATUSES, PaymentStatus
from schemas.refunds import RefundStatus

_DISPATCHED = [status for status in ParcelStatus if status.was_dispatched]
_UNCAPTURED = (PaymentStatus.NOT_PAID, PaymentStatus.AUTHORIZED, PaymentStatus.PARTIALLY_CAPTURED)
_MOST_ORDERS = 2000  # whose ledgers are read at once; what is beyond shows as this many do


class AmountsDue:
    """What customers are to get, and what is to be captured of them, in minor units by currency."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._facts = PaymentFactsReader(engine)

    def refunds(self) -> dict[str, int]:
        """Refunds that were promised and are not made yet."""
        query = (
            sa.select(refunds.c.currency, sa.func.sum(refunds.c.amount))
            .where(refunds.c.status == RefundStatus.PENDING)
            .group_by(refunds.c.currency)
        )
        with self._engine.connect() as connection:
            return {currency: int(amount) for currency, amount in connection.execute(query)}

    def captures(self) -> dict[str, int]:
        """The value of dispatched parcels of open orders, less what was captured for it."""
        query = (
            sa.select(orders.c.id, orders.c.currency)
            .where(
                orders.c.status.not_in(FINAL_STATUSES),
                orders.c.payment_status.in_(_UNCAPTURED),
                sa.exists().where(parcels.c.order_id == orders.c.id, parcels.c.status.in_(_DISPATCHED)),
            )
            .limit(_MOST_ORDERS)
        )
        with self._engine.connect() as connection:
            currencies = {row.id: row.currency for row in connection.execute(query)}
        sums: dict[str, int] = {}
        for order_id, ledger in self._facts.of_orders(list(currencies)).items():
            due = max(0, ledger.amount_due - ledger.sum(EntryKind.CAPTURE))
            sums[currencies[order_id]] = sums.get(currencies[order_id], 0) + due
        return sums
