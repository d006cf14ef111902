"""The tables of the Payment service: the ledger and refunds."""

import sqlalchemy as sa

from adapters.mysql.tables.schema import Amount, Code, Moment, Uuid, key, table

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
