"""The tables of stock and its reservations, which the Order service owns."""

import sqlalchemy as sa

from adapters.mysql.tables.schema import Code, Json, Moment, Sku, Uuid, key, table

warehouses = table(
    "warehouses",
    sa.Column("code", Code, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("country", sa.CHAR(2), nullable=False),
    sa.Column("preference", sa.Integer, nullable=False),
    sa.Column(
        "pick_required",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="staff confirm what they have picked before a parcel is booked",
    ),
)

stock_rules = table(
    "stock_rules",
    sa.Column("sku", Sku, sa.ForeignKey("variants.sku"), primary_key=True),
    sa.Column("backorderable", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("low_stock_at", sa.Integer, nullable=False),
    sa.CheckConstraint("low_stock_at >= 0", name="low_stock_at"),
)

stock = table(
    "stock",
    sa.Column("sku", Sku, sa.ForeignKey("variants.sku"), primary_key=True),
    sa.Column("warehouse", Code, sa.ForeignKey("warehouses.code"), primary_key=True),
    sa.Column("on_hand", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reserved", sa.Integer, nullable=False, server_default="0"),
    sa.CheckConstraint("reserved >= 0", name="reserved"),
    sa.CheckConstraint("on_hand >= reserved", name="available"),
)

stock_movements = table(
    "stock_movements",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("sku", Sku, nullable=False),
    sa.Column("warehouse", Code, nullable=False),
    sa.Column("kind", Code, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False, comment="units, as a change of what the kind is about"),
    sa.Column("order_id", Uuid),
    sa.Column("reason", sa.String(500)),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("movement_key", key(255), unique=True, comment="principal and Idempotency-Key of a posted movement"),
    sa.Column("occurred_at", Moment, nullable=False),
    sa.Index(None, "sku", "warehouse", "id"),
    sa.Index(None, "sku", "id"),
    sa.Index(None, "order_id"),
)

reservations = table(
    "reservations",
    sa.Column("order_id", Uuid, primary_key=True, comment="an order has one reservation, known by the order's id"),
    sa.Column("expires_at", Moment, nullable=False, comment="extended by the order's workflow while it lives"),
    sa.Column("open", sa.Boolean, nullable=False, comment="whether any line is still active"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index(None, "open", "expires_at"),
)

ACTIVE = "active"
"""The state of lines that are neither released nor shipped."""

reservation_lines = table(
    "reservation_lines",
    sa.Column("order_id", Uuid, sa.ForeignKey("reservations.order_id"), primary_key=True),
    sa.Column("parcel", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sku", Sku, primary_key=True),
    sa.Column("warehouse", Code, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("backordered", sa.Integer, nullable=False, comment="units of the quantity that have yet to arrive"),
    sa.Column("state", Code, nullable=False, comment="active, released or shipped"),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index(None, "sku", "state", "warehouse"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
    sa.CheckConstraint("backordered >= 0 AND backordered <= quantity", name="backordered"),
)

# What a SKU's movements come to up to one of them, so that a comparison adds up only what came later.
stock_checkpoints = table(
    "stock_checkpoints",
    sa.Column("sku", Sku, primary_key=True),
    sa.Column("warehouse", Code, primary_key=True),
    sa.Column("movement", sa.BigInteger, nullable=False, comment="the last one contained, the same for all levels"),
    sa.Column("on_hand", sa.Integer, nullable=False),
    sa.Column("reserved", sa.Integer, nullable=False),
)

stock_reconciliations = table(
    "stock_reconciliations",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("started_at", Moment, nullable=False, unique=True),
    sa.Column("finished_at", Moment, nullable=False),
    sa.Column("last_movement", sa.BigInteger, comment="the newest there was when the run ended"),
    sa.Column("levels_checked", sa.Integer, nullable=False),
    sa.Column("differences_found", sa.Integer, nullable=False),
    sa.Column("differences", Json, nullable=False, comment="the first of them, in the order of SKU and warehouse"),
)
