"""What orders have sold lately: the order service's answer to whoever wants to know what sells."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from adapters.mysql.tables.orders import order_lines, orders
from domain.orders import SOLD_STATUSES

# An order's id is made when its customer asks, its row a little later.
_IDS_ARE_OLDER = timedelta(days=1)


def units_sold(connection: sa.Connection, skus: Collection[str], since: datetime) -> dict[str, int]:
    """Units by SKU of the orders made since then that are confirmed or further; a cancelled one has sold nothing."""
    rows = connection.execute(
        sa.select(order_lines.c.sku, sa.func.sum(order_lines.c.quantity).label("units"))
        .join(orders, orders.c.id == order_lines.c.order_id)
        .where(
            order_lines.c.sku.in_(skus),
            order_lines.c.order_id >= _first_id(since - _IDS_ARE_OLDER),
            orders.c.created_at >= since,
            orders.c.status.in_(SOLD_STATUSES),
        )
        .group_by(order_lines.c.sku)
    )
    return {row.sku: int(row.units) for row in rows}


def _first_id(moment: datetime) -> str:
    """Ids begin with their time, so that the index of SKUs, which ends with them, is not read back to its beginning."""
    milliseconds = int(moment.replace(tzinfo=UTC).timestamp() * 1000)
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}"
