"""What stands of store credit, told by sums over its moves."""

from dataclasses import dataclass

import sqlalchemy as sa

from adapters.mysql.credit_tables import credit_entries
from domain.credit import CreditAccount, CreditKind


@dataclass(frozen=True)
class OrderCredit:
    """What moved of store credit for one order, in minor units of its currency."""

    authorized: int = 0
    released: int = 0
    captured: int = 0
    refunded: int = 0

    @property
    def held(self) -> int:
        """What is kept for the order and not yet taken."""
        return self.authorized - self.released - self.captured


def credit_of_order(connection: sa.Connection, order_id: str) -> OrderCredit:
    """The order's store credit, as this transaction sees it."""
    entries = credit_entries.c
    query = sa.select(entries.kind, sa.func.sum(entries.amount)).where(entries.order_id == order_id)
    sums = {CreditKind(kind): int(total) for kind, total in connection.execute(query.group_by(entries.kind))}
    return OrderCredit(
        authorized=sums.get(CreditKind.HOLD, 0),
        released=sums.get(CreditKind.RELEASE, 0),
        captured=sums.get(CreditKind.CAPTURE, 0),
        refunded=sums.get(CreditKind.REFUND, 0),
    )


def credit_balances(connection: sa.Connection, customer_id: str) -> dict[str, dict[CreditAccount, int]]:
    """What stands on each of a customer's accounts, by currency, as this transaction sees it."""
    entries = credit_entries.c
    moved = (
        sa.select(entries.currency, entries.source, entries.target, sa.func.sum(entries.amount))
        .where(entries.customer_id == customer_id)
        .group_by(entries.currency, entries.source, entries.target)
        .order_by(entries.currency)
    )
    found: dict[str, dict[CreditAccount, int]] = {}
    for currency, source, target, amount in connection.execute(moved):
        stands = found.setdefault(currency, dict.fromkeys(CreditAccount, 0))
        stands[CreditAccount(source)] -= int(amount)
        stands[CreditAccount(target)] += int(amount)
    return found
