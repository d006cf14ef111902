"""The tables of the comparison of payments, which the Payment service owns."""

import sqlalchemy as sa

from adapters.mysql.tables.schema import Amount, Code, Moment, Uuid, key, table

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
        comment="kind, effect and subject while it is seen, NULL once it is gone: seen by two runs, one row",
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
