"""The tables of orders, payments and notifications, grouped by the service that owns (alone writes) them.

The User service's stand in `identity_tables.py`, the catalog's in `catalog_tables.py`, stock in `stock_tables.py`.
"""

import sqlalchemy as sa

from adapters.mysql.schema import Amount, Code, Json, Moment, Sku, Uuid, key, table

# --- Order service: orders, their events (= history = live stream = outbox), parcels

orders = table(
    "orders",
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("id", Uuid, nullable=False, unique=True),
    sa.Column("customer_id", Uuid, nullable=False),
    sa.Column("email", sa.String(254), nullable=False),
    sa.Column("status", Code, nullable=False),
    sa.Column("payment_status", Code, nullable=False),
    sa.Column("fulfilment_status", Code, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("subtotal", Amount, nullable=False),
    sa.Column("discount", Amount, nullable=False, server_default="0"),
    sa.Column("shipping", Amount, nullable=False),
    sa.Column("tax", Amount, nullable=False),
    sa.Column("tax_included", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("total", Amount, nullable=False),
    sa.Column("voucher_code", Code),
    sa.Column("cart_id", Uuid, nullable=False),
    sa.Column("cart_version", sa.Integer, nullable=False),
    sa.Column(
        "cart_claim",
        key(64),
        unique=True,
        comment="cart id and version while the order stands, NULL once it failed: one cart version, one order",
    ),
    sa.Column("shipping_address", Json, nullable=False),
    sa.Column("shipping_method", Code, nullable=False),
    sa.Column("failure_code", Code),
    sa.Column("awaiting", Json, comment="what the customer is to do, and until when; NULL when nothing"),
    sa.Column("last_seq", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index(None, "customer_id", "number"),
    sa.Index(None, "status", "updated_at"),
    sa.CheckConstraint(
        "total = subtotal - discount + shipping + CASE WHEN tax_included THEN 0 ELSE tax END", name="total"
    ),
)

order_lines = table(
    "order_lines",
    sa.Column("order_id", Uuid, sa.ForeignKey("orders.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("sku", Sku, nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("unit_price", Amount, nullable=False),
    sa.Column("weight_grams", sa.Integer, nullable=False),
    sa.Column("subtotal", Amount, nullable=False),
    sa.Column("discount", Amount, nullable=False, server_default="0"),
    sa.Column("tax", Amount, nullable=False),
    sa.Index(None, "sku"),
)

parcels = table(
    "parcels",
    sa.Column("order_id", Uuid, sa.ForeignKey("orders.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("warehouse", Code, nullable=False),
    sa.Column("status", Code, nullable=False),
    sa.Column("amount", Amount, nullable=False),
    sa.Column("weight_grams", sa.Integer, nullable=False),
    sa.Column("lines", Json, nullable=False),
    sa.Column("shipment_id", sa.String(100), unique=True),
    sa.Column("tracking_number", sa.String(100)),
    sa.Column("tracking_url", sa.String(500)),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

order_events = table(
    "order_events",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("event_id", Uuid, nullable=False, unique=True),
    sa.Column("order_id", Uuid, sa.ForeignKey("orders.id"), nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("step", sa.String(100), nullable=False, comment="what makes a repeat of the same deed recognisable"),
    sa.Column("type", Code, nullable=False),
    sa.Column("status", Code, nullable=False),
    sa.Column("payment_status", Code, nullable=False),
    sa.Column("fulfilment_status", Code, nullable=False),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("data", Json, nullable=False),
    sa.Column("occurred_at", Moment, nullable=False),
    sa.Column("partition_no", sa.SmallInteger, nullable=False),
    sa.Column("published_at", Moment),
    sa.UniqueConstraint("order_id", "seq"),
    sa.UniqueConstraint("order_id", "step"),
    sa.Index("ix_order_events_outbox", "partition_no", "published_at", "id"),
)

outbox_partitions = table(
    "outbox_partitions",
    sa.Column("outbox", Code, primary_key=True),
    sa.Column("partition_no", sa.SmallInteger, primary_key=True, autoincrement=False),
)

idempotency_keys = table(
    "idempotency_keys",
    sa.Column("principal", key(100), primary_key=True),
    sa.Column("route", key(100), primary_key=True),
    sa.Column("idempotency_key", key(255), primary_key=True),
    sa.Column("fingerprint", sa.CHAR(64), nullable=False),
    sa.Column("resource_id", Uuid, nullable=False, index=True),
    sa.Column("locked_until", Moment),
    sa.Column("status_code", sa.SmallInteger),
    sa.Column("response", Json),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
)

webhook_receipts = table(
    "webhook_receipts",
    sa.Column("source", Code, primary_key=True),
    sa.Column("event_id", key(255), primary_key=True),
    sa.Column("type", key(100), nullable=False),
    sa.Column("outcome", key(40), nullable=False),
    sa.Column("received_at", Moment, nullable=False),
)

# --- Payment service

payment_entries = table(
    "payment_entries",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("order_id", Uuid, sa.ForeignKey("orders.id"), nullable=False),
    sa.Column("kind", Code, nullable=False),
    sa.Column("amount", Amount, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("provider_id", sa.String(100), nullable=False),
    sa.Column("idempotency_key", key(255), nullable=False, unique=True),
    sa.Column("occurred_at", Moment, nullable=False),
    sa.CheckConstraint("amount >= 0", name="amount"),
    sa.Index(None, "order_id"),
    sa.Index(None, "provider_id"),
)

ledger_postings = table(
    "ledger_postings",
    sa.Column("entry_id", sa.BigInteger, sa.ForeignKey("payment_entries.id"), primary_key=True),
    sa.Column("account", Code, primary_key=True),
    sa.Column("amount", Amount, nullable=False, comment="what the account receives, in minor units"),
)

refunds = table(
    "refunds",
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("order_id", Uuid, sa.ForeignKey("orders.id"), nullable=False, index=True),
    sa.Column("amount", Amount, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("reason", sa.String(500), nullable=False),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("status", Code, nullable=False),
    sa.Column("failure_code", Code),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("settled_at", Moment),
    sa.CheckConstraint("amount > 0", name="amount"),
)

refund_parts = table(
    "refund_parts",
    sa.Column("refund_id", Uuid, sa.ForeignKey("refunds.id"), primary_key=True),
    sa.Column("number", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("order_id", Uuid, nullable=False, index=True),
    sa.Column("provider_id", sa.String(100), comment="the payment it is given back of; NULL: as store credit"),
    sa.Column("amount", Amount, nullable=False),
    sa.Column("status", Code, nullable=False),
    sa.Column("provider_refund_id", sa.String(100), index=True, comment="what the provider calls it once it is done"),
    sa.Column("failed_at", Moment, comment="when its money was found to have come back after it had succeeded"),
    sa.CheckConstraint("amount > 0", name="amount"),
)

# --- Notification service

notifications = table(
    "notifications",
    sa.Column("event_id", Uuid, primary_key=True),
    sa.Column("channel", Code, primary_key=True),
    sa.Column("order_id", Uuid, nullable=False, index=True),
    sa.Column("recipient", sa.String(254), nullable=False),
    sa.Column("message_id", sa.String(255), nullable=False),
    sa.Column("sent_at", Moment, nullable=False),
)
