"""Balances of store credit: sums over its moves."""

from collections import Counter
from collections.abc import Collection

import sqlalchemy as sa

from adapters.mysql.tables.payments import credit_entries
from domain.credit import CreditAccount, CreditKind, OrderCredit


def credit_of_order(connection: sa.Connection, order_id: str) -> OrderCredit:
    """The order's store credit, as this transaction sees it."""
    return credit_of_orders(connection, [order_id])[order_id]


def credit_of_orders(connection: sa.Connection, order_ids: Collection[str]) -> dict[str, OrderCredit]:
    """The store credit of several orders; an order without any has zeros."""
    entries = credit_entries.c
    query = (
        sa.select(entries.order_id, entries.kind, sa.func.sum(entries.amount))
        .where(entries.order_id.in_(order_ids))
        .group_by(entries.order_id, entries.kind)
    )
    sums = Counter({(order_id, kind): int(total) for order_id, kind, total in connection.execute(query)})
    return {
        order_id: OrderCredit(
            authorized=sums[order_id, CreditKind.AUTHORIZE],
            voided=sums[order_id, CreditKind.VOID],
            captured=sums[order_id, CreditKind.CAPTURE],
            refunded=sums[order_id, CreditKind.REFUND],
        )
        for order_id in order_ids
    }


def credit_balances(connection: sa.Connection, customer_id: str) -> dict[str, dict[CreditAccount, int]]:
    """The balance of each of a customer's accounts, by currency, as this transaction sees it."""
    entries = credit_entries.c
    moved = (
        sa.select(entries.currency, entries.source, entries.target, sa.func.sum(entries.amount))
        .where(entries.customer_id == customer_id)
        .group_by(entries.currency, entries.source, entries.target)
        .order_by(entries.currency)
    )
    found: dict[str, dict[CreditAccount, int]] = {}
    for currency, source, target, amount in connection.execute(moved):
        balances = found.setdefault(currency, dict.fromkeys(CreditAccount, 0))
        balances[CreditAccount(source)] -= int(amount)
        balances[CreditAccount(target)] += int(amount)
    return found
