"""The tables of disputes, and of webhooks whose amounts were not believed; the Payment service owns them."""

import sqlalchemy as sa

from adapters.mysql.tables.schema import Amount, Code, Json, Moment, Uuid, key, table

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
    sa.Column("released_at", Moment, comment="when an operator let the parcels go although it is open"),
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
    sa.Column("differences", Json, nullable=False, comment="what it told and what our books say, by field"),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("reviewed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("reviewed_at", Moment),
    sa.Column("reviewed_by", sa.String(100)),
    sa.Column("review", sa.String(500)),
    sa.Index(None, "reviewed", "number"),
)
