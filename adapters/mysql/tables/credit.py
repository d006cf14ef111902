"""The tables of store credit, which the Payment service owns."""

import sqlalchemy as sa

from adapters.mysql.tables.schema import Amount, Code, Moment, Uuid, key, table

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
