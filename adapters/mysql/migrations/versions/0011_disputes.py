"""Disputes, and webhooks whose amounts were not believed.

Revision ID: 0011
Revises: 0010
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def _key(length: int) -> mysql.VARCHAR:
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


UUID, CODE = _key(36), _key(64)
MOMENT = mysql.DATETIME(fsp=6)
INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "disputes",
        sa.Column("number", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("id", _key(100), nullable=False, comment="the provider's"),
        sa.Column("order_id", UUID, nullable=False),
        sa.Column("payment_id", sa.String(100), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("reason", _key(100), nullable=False),
        sa.Column("status", CODE, nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("evidence_due_at", MOMENT, nullable=True),
        sa.Column(
            "released_at", MOMENT, nullable=True, comment="when an operator let the parcels go although it is open"
        ),
        sa.Column("actions", sa.JSON(), nullable=False, comment="by key: who did what about it, and why"),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_disputes_order_id")),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id", name=op.f("uq_disputes_id")),
        **INNODB,
    )
    op.create_index(op.f("ix_disputes_order_id"), "disputes", ["order_id"])
    op.create_index(op.f("ix_disputes_open_number"), "disputes", ["open", "number"])
    op.create_table(
        "flagged_webhooks",
        sa.Column("number", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("event_id", _key(255), nullable=False),
        sa.Column("type", _key(100), nullable=False),
        sa.Column("order_id", UUID, nullable=False),
        sa.Column("payment_id", sa.String(100), nullable=False),
        sa.Column("differences", sa.JSON(), nullable=False, comment="what it told and what our books say, by field"),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("reviewed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("reviewed_at", MOMENT, nullable=True),
        sa.Column("reviewed_by", sa.String(100), nullable=True),
        sa.Column("review", sa.String(500), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("event_id", name=op.f("uq_flagged_webhooks_event_id")),
        **INNODB,
    )
    op.create_index(op.f("ix_flagged_webhooks_reviewed_number"), "flagged_webhooks", ["reviewed", "number"])


def downgrade() -> None:
    """What was booked stays in the ledger."""
    op.drop_table("flagged_webhooks")
    op.drop_table("disputes")
