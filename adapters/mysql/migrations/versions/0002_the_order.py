"""The order: what it is, what became of it, what it was paid and who was told.

Revision ID: 0002
Revises: 0001
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _key(length: int) -> mysql.VARCHAR:
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


UUID = _key(36)
MOMENT = mysql.DATETIME(fsp=6)
INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}


def upgrade() -> None:
    """Create them; a table comes after those it refers to."""
    _orders()
    _order_parts()
    _order_events()
    _requests()
    _payments()
    _notifications()


def downgrade() -> None:
    """Drop them, last made first."""
    for table in (
        "notifications",
        "payment_entries",
        "webhook_receipts",
        "idempotency_keys",
        "outbox_partitions",
        "order_events",
        "parcels",
        "order_lines",
        "orders",
    ):
        op.drop_table(table)


# --- Order service: the order


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("number", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("id", UUID, nullable=False),
        sa.Column("customer_id", UUID, nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("status", _key(64), nullable=False),
        sa.Column("payment_status", _key(64), nullable=False),
        sa.Column("fulfilment_status", _key(64), nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("subtotal", sa.BigInteger(), nullable=False),
        sa.Column("shipping", sa.BigInteger(), nullable=False),
        sa.Column("tax", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("cart_id", UUID, nullable=False),
        sa.Column("cart_version", sa.Integer(), nullable=False),
        sa.Column(
            "cart_claim",
            _key(64),
            nullable=True,
            comment=("cart id and version while the order stands, NULL once it failed: one cart version, one order"),
        ),
        sa.Column("shipping_address", sa.JSON(), nullable=False),
        sa.Column("shipping_method", _key(64), nullable=False),
        sa.Column("failure_code", _key(64), nullable=True),
        sa.Column("last_seq", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.CheckConstraint("total = subtotal + shipping + tax", name=op.f("ck_orders_total")),
        sa.UniqueConstraint("cart_claim", name=op.f("uq_orders_cart_claim")),
        sa.UniqueConstraint("id", name=op.f("uq_orders_id")),
        **INNODB,
    )
    op.create_index(op.f("ix_orders_customer_id_number"), "orders", ["customer_id", "number"])
    op.create_index(op.f("ix_orders_status_updated_at"), "orders", ["status", "updated_at"])


# --- Order service: what an order consists of


def _order_parts() -> None:
    op.create_table(
        "order_lines",
        sa.Column("order_id", UUID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sku", _key(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price", sa.BigInteger(), nullable=False),
        sa.Column("weight_grams", sa.Integer(), nullable=False),
        sa.Column("subtotal", sa.BigInteger(), nullable=False),
        sa.Column("tax", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", "position"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_lines_order_id")),
        **INNODB,
    )
    op.create_index(op.f("ix_order_lines_sku"), "order_lines", ["sku"])
    op.create_table(
        "parcels",
        sa.Column("order_id", UUID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("warehouse", _key(64), nullable=False),
        sa.Column("status", _key(64), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("weight_grams", sa.Integer(), nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.Column("shipment_id", sa.String(100), nullable=True),
        sa.Column("tracking_number", sa.String(100), nullable=True),
        sa.Column("tracking_url", sa.String(500), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("order_id", "number"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_parcels_order_id")),
        sa.UniqueConstraint("shipment_id", name=op.f("uq_parcels_shipment_id")),
        **INNODB,
    )


# --- Order service: history, live stream and outbox in one


def _order_events() -> None:
    op.create_table(
        "order_events",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("event_id", UUID, nullable=False),
        sa.Column("order_id", UUID, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(100), nullable=False, comment="what makes a repeat of the same deed recognisable"),
        sa.Column("type", _key(64), nullable=False),
        sa.Column("status", _key(64), nullable=False),
        sa.Column("payment_status", _key(64), nullable=False),
        sa.Column("fulfilment_status", _key(64), nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("occurred_at", MOMENT, nullable=False),
        sa.Column("partition_no", sa.SmallInteger(), nullable=False),
        sa.Column("published_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_events_order_id")),
        sa.UniqueConstraint("event_id", name=op.f("uq_order_events_event_id")),
        sa.UniqueConstraint("order_id", "seq", name=op.f("uq_order_events_order_id_seq")),
        sa.UniqueConstraint("order_id", "step", name=op.f("uq_order_events_order_id_step")),
        **INNODB,
    )
    op.create_index(op.f("ix_order_events_outbox"), "order_events", ["partition_no", "published_at", "id"])
    op.create_table(
        "outbox_partitions",
        sa.Column("partition_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("partition_no"),
        **INNODB,
    )


# --- Order service: what was asked before


def _requests() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("principal", _key(100), nullable=False),
        sa.Column("route", _key(100), nullable=False),
        sa.Column("idempotency_key", _key(255), nullable=False),
        sa.Column("fingerprint", sa.CHAR(64), nullable=False),
        sa.Column("resource_id", UUID, nullable=False),
        sa.Column("locked_until", MOMENT, nullable=True),
        sa.Column("status_code", sa.SmallInteger(), nullable=True),
        sa.Column("response", sa.JSON(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("principal", "route", "idempotency_key"),
        **INNODB,
    )
    op.create_index(op.f("ix_idempotency_keys_resource_id"), "idempotency_keys", ["resource_id"])
    op.create_table(
        "webhook_receipts",
        sa.Column("source", _key(64), nullable=False),
        sa.Column("event_id", _key(255), nullable=False),
        sa.Column("type", _key(100), nullable=False),
        sa.Column("outcome", _key(40), nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("source", "event_id"),
        **INNODB,
    )


# --- Payment service


def _payments() -> None:
    op.create_table(
        "payment_entries",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("order_id", UUID, nullable=False),
        sa.Column("kind", _key(64), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("provider_id", sa.String(100), nullable=False),
        sa.Column("idempotency_key", _key(255), nullable=False),
        sa.Column("occurred_at", MOMENT, nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_payment_entries_amount")),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_payment_entries_order_id")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_payment_entries_idempotency_key")),
        **INNODB,
    )
    op.create_index(op.f("ix_payment_entries_order_id"), "payment_entries", ["order_id"])
    op.create_index(op.f("ix_payment_entries_provider_id"), "payment_entries", ["provider_id"])


# --- Notification service


def _notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("event_id", UUID, nullable=False),
        sa.Column("channel", _key(64), nullable=False),
        sa.Column("order_id", UUID, nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("message_id", sa.String(255), nullable=False),
        sa.Column("sent_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("event_id", "channel"),
        **INNODB,
    )
    op.create_index(op.f("ix_notifications_order_id"), "notifications", ["order_id"])
