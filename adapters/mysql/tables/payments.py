"""The tables of the Payment service: the ledger, refunds, store credit, disputes and what comparing payments found."""

import sqlalchemy as sa

from adapters.mysql.tables.schema import Amount, Code, Json, Moment, Uuid, key, table

# --- The ledger, and refunds

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
    sa.Index(None, "occurred_at"),
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
    sa.Column("parcel", sa.Integer, comment="the parcel of the order that it is for"),
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
    sa.Column("provider_id", sa.String(100), comment="the payment that is refunded; NULL: refunded as store credit"),
    sa.Column("amount", Amount, nullable=False),
    sa.Column("status", Code, nullable=False),
    sa.Column("provider_refund_id", sa.String(100), index=True, comment="what the provider calls it once it is done"),
    sa.Column("failed_at", Moment, comment="when it was found to have failed after it had succeeded"),
    sa.CheckConstraint("amount > 0", name="amount"),
)

# --- Store credit

# One row per customer, for its lock alone: whoever moves a customer's credit holds it.
credit_accounts = table(
    "credit_accounts",
    sa.Column("customer_id", Uuid, primary_key=True),
    sa.Column("created_at", Moment, nullable=False),
)

credit_entries = table(
    "credit_entries",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("customer_id", Uuid, sa.ForeignKey("credit_accounts.customer_id"), nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("kind", Code, nullable=False),
    sa.Column("source", Code, nullable=False, comment="the account the amount is taken from"),
    sa.Column("target", Code, nullable=False, comment="the account that receives it"),
    sa.Column("amount", Amount, nullable=False),
    sa.Column("order_id", Uuid, sa.ForeignKey("orders.id")),
    sa.Column("reason", sa.String(500)),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("idempotency_key", key(255), nullable=False, unique=True),
    sa.Column("occurred_at", Moment, nullable=False),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.CheckConstraint("source <> target", name="accounts"),
    sa.Index(None, "customer_id", "id"),
    sa.Index(None, "order_id"),
)

# --- Disputes, and webhooks with wrong amounts

disputes = table(
    "disputes",
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("id", key(100), nullable=False, unique=True, comment="the provider's"),
    sa.Column("order_id", Uuid, sa.ForeignKey("orders.id"), nullable=False, index=True),
    sa.Column("payment_id", sa.String(100), nullable=False),
    sa.Column("amount", Amount, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("reason", key(100), nullable=False),
    sa.Column("status", Code, nullable=False),
    sa.Column("open", sa.Boolean, nullable=False),
    sa.Column("evidence_due_at", Moment),
    sa.Column("released_at", Moment, comment="when an operator released the parcels although it is open"),
    sa.Column("actions", Json, nullable=False, comment="by key: who did what about it, and why"),
    sa.Column("opened_at", Moment, nullable=False),
    sa.Column("closed_at", Moment),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index(None, "open", "number"),
)

flagged_webhooks = table(
    "flagged_webhooks",
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("event_id", key(255), nullable=False, unique=True),
    sa.Column("type", key(100), nullable=False),
    sa.Column("order_id", Uuid, nullable=False),
    sa.Column("payment_id", sa.String(100), nullable=False),
    sa.Column("differences", Json, nullable=False, comment="what it says and what our ledger says, by field"),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("reviewed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("reviewed_at", Moment),
    sa.Column("reviewed_by", sa.String(100)),
    sa.Column("review", sa.String(500)),
    sa.Index(None, "reviewed", "number"),
)

# --- Reconciliation: what provider, ledger and orders disagree on

payment_reconciliations = table(
    "payment_reconciliations",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("started_at", Moment, nullable=False, unique=True),
    sa.Column("finished_at", Moment, nullable=False),
    sa.Column("payments", sa.Integer, nullable=False),
    sa.Column("refunds", sa.Integer, nullable=False),
    sa.Column("entries", sa.Integer, nullable=False),
    sa.Column("orders", sa.Integer, nullable=False),
    sa.Column("differences_open", sa.Integer, nullable=False),
)

payment_differences = table(
    "payment_differences",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column(
        "live_key",
        key(255),
        unique=True,
        comment="kind, effect and subject while it lasts, NULL afterwards: seen by two runs, one row",
    ),
    sa.Column("kind", Code, nullable=False),
    sa.Column("effect", Code),
    sa.Column("subject", key(100), nullable=False),
    sa.Column("order_id", key(100), nullable=False, index=True, comment="as the provider names it; may be unknown"),
    sa.Column("payment_id", key(100)),
    sa.Column("order_status", Code),
    sa.Column("currency", sa.CHAR(3)),
    sa.Column("provider_amount", Amount),
    sa.Column("ledger_amount", Amount),
    sa.Column("repair", Code, nullable=False),
    sa.Column("repair_amount", Amount, nullable=False),
    sa.Column("status", Code, nullable=False),
    sa.Column("first_seen_at", Moment, nullable=False),
    sa.Column("last_seen_at", Moment, nullable=False),
    sa.Column("decision", Code),
    sa.Column("decision_id", Uuid, comment="by which a repeat of the same request is recognised"),
    sa.Column("reason", sa.String(500)),
    sa.Column("actor", sa.String(100)),
    sa.Column("decided_at", Moment),
    sa.Column("note", sa.String(500)),
    sa.Index(None, "status", "id"),
)
