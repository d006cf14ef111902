"""Stock: rules per SKU, movements that are posted once, reservations that expire, reconciliations.

Revision ID: 0006
Revises: 0005
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _key(length: int) -> mysql.VARCHAR:
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


UUID, SKU, CODE = _key(36), _key(64), _key(64)
MOMENT = mysql.DATETIME(fsp=6)
INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}
_TIMES = ("created_at", "updated_at")


def upgrade() -> None:
    """Make them; each order's reservation gets a head and its lines."""
    _stock()
    _reservations()


def downgrade() -> None:
    """Back to lines alone, which never expire."""
    _reservations_back()
    _stock_back()


def _stock() -> None:
    op.create_table(
        "stock_rules",
        sa.Column("sku", SKU, nullable=False),
        sa.Column("backorderable", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("low_stock_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sku"),
        sa.CheckConstraint("low_stock_at >= 0", name=op.f("ck_stock_rules_low_stock_at")),
        sa.ForeignKeyConstraint(["sku"], ["variants.sku"], name=op.f("fk_stock_rules_sku")),
        **INNODB,
    )
    op.add_column(
        "stock_movements",
        sa.Column(
            "movement_key", _key(255), nullable=True, comment="principal and Idempotency-Key of a posted movement"
        ),
    )
    op.create_unique_constraint(op.f("uq_stock_movements_movement_key"), "stock_movements", ["movement_key"])
    op.alter_column(
        "stock_movements",
        "quantity",
        existing_type=sa.Integer(),
        existing_nullable=False,
        comment="units, as a change of what the kind is about",
    )
    op.create_table(
        "stock_reconciliations",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=False),
        sa.Column("levels_checked", sa.Integer(), nullable=False),
        sa.Column("differences_found", sa.Integer(), nullable=False),
        sa.Column(
            "differences", sa.JSON(), nullable=False, comment="the first of them, in the order of SKU and warehouse"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("started_at", name=op.f("uq_stock_reconciliations_started_at")),
        **INNODB,
    )


def _reservations() -> None:
    op.rename_table("reservations", "old_reservations")
    op.create_table(
        "reservations",
        sa.Column("order_id", UUID, nullable=False, comment="an order has one reservation, known by the order's id"),
        sa.Column("expires_at", MOMENT, nullable=False, comment="extended by the order's workflow while it lives"),
        sa.Column("open", sa.Boolean(), nullable=False, comment="whether any line is still active"),
        *(sa.Column(name, MOMENT, nullable=False) for name in _TIMES),
        sa.PrimaryKeyConstraint("order_id"),
        **INNODB,
    )
    op.create_index(op.f("ix_reservations_open_expires_at"), "reservations", ["open", "expires_at"])
    op.create_table(
        "reservation_lines",
        sa.Column("order_id", UUID, nullable=False),
        sa.Column("parcel", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sku", SKU, nullable=False),
        sa.Column("warehouse", CODE, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("backordered", sa.Integer(), nullable=False, comment="units of the quantity that have yet to arrive"),
        sa.Column("state", CODE, nullable=False, comment="active, released or shipped"),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("order_id", "parcel", "sku"),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_reservation_lines_quantity")),
        sa.CheckConstraint(
            "backordered >= 0 AND backordered <= quantity", name=op.f("ck_reservation_lines_backordered")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["reservations.order_id"], name=op.f("fk_reservation_lines_order_id")),
        **INNODB,
    )
    op.create_index(
        op.f("ix_reservation_lines_sku_warehouse_state"), "reservation_lines", ["sku", "warehouse", "state"]
    )
    op.execute(
        "INSERT INTO reservations SELECT order_id, NOW(6) + INTERVAL 7 DAY, MAX(state = 'active'), MIN(created_at), "
        "MAX(updated_at) FROM old_reservations GROUP BY order_id"
    )
    op.execute(
        "INSERT INTO reservation_lines (order_id, parcel, sku, warehouse, quantity, backordered, state, updated_at) "
        "SELECT r.order_id, p.number, r.sku, r.warehouse, r.quantity, 0, r.state, r.updated_at "
        "FROM old_reservations r JOIN parcels p ON p.order_id = r.order_id AND p.warehouse = r.warehouse"
    )
    op.drop_table("old_reservations")


def _reservations_back() -> None:
    op.create_table(
        "old_reservations",
        sa.Column("order_id", UUID, nullable=False),
        sa.Column("sku", SKU, nullable=False),
        sa.Column("warehouse", CODE, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("state", CODE, nullable=False),
        *(sa.Column(name, MOMENT, nullable=False) for name in _TIMES),
        sa.PrimaryKeyConstraint("order_id", "sku", "warehouse"),
        **INNODB,
    )
    op.execute(
        "INSERT INTO old_reservations SELECT l.order_id, l.sku, l.warehouse, SUM(l.quantity), MIN(l.state), "
        "MIN(r.created_at), MAX(l.updated_at) FROM reservation_lines l JOIN reservations r USING (order_id) "
        "GROUP BY l.order_id, l.sku, l.warehouse"
    )
    op.drop_table("reservation_lines")
    op.drop_table("reservations")
    op.rename_table("old_reservations", "reservations")


def _stock_back() -> None:
    op.drop_table("stock_reconciliations")
    op.drop_constraint(op.f("uq_stock_movements_movement_key"), "stock_movements", type_="unique")
    op.drop_column("stock_movements", "movement_key")
    op.drop_table("stock_rules")
