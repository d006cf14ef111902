"""What provider, ledger and orders disagree on, and what is decided about it.

Revision ID: 0012
Revises: 0011
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def _key(length: int) -> mysql.VARCHAR:
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


CODE, ID = _key(64), _key(100)
MOMENT = mysql.DATETIME(fsp=6)
INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}


def upgrade() -> None:
    """Make both."""
    op.create_table(
        "payment_reconciliations",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=False),
        sa.Column("payments", sa.Integer(), nullable=False),
        sa.Column("refunds", sa.Integer(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("differences_open", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("started_at", name=op.f("uq_payment_reconciliations_started_at")),
        **INNODB,
    )
    op.create_table(
        "payment_differences",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column(
            "live_key",
            _key(255),
            nullable=True,
            comment="kind, effect and subject while it is seen, NULL once it is gone: seen by two runs, one row",
        ),
        sa.Column("kind", CODE, nullable=False),
        sa.Column("effect", CODE, nullable=True),
        sa.Column("subject", ID, nullable=False),
        sa.Column("order_id", ID, nullable=False, comment="as the provider names it; may be unknown"),
        sa.Column("payment_id", ID, nullable=True),
        sa.Column("order_status", CODE, nullable=True),
        sa.Column("currency", sa.CHAR(3), nullable=True),
        sa.Column("provider_amount", sa.BigInteger(), nullable=True),
        sa.Column("ledger_amount", sa.BigInteger(), nullable=True),
        sa.Column("repair", CODE, nullable=False),
        sa.Column("repair_amount", sa.BigInteger(), nullable=False),
        sa.Column("status", CODE, nullable=False),
        sa.Column("first_seen_at", MOMENT, nullable=False),
        sa.Column("last_seen_at", MOMENT, nullable=False),
        sa.Column("decision", CODE, nullable=True),
        sa.Column(
            "decision_id", _key(36), nullable=True, comment="by which a repeat of the same request is recognised"
        ),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.Column("actor", sa.String(100), nullable=True),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("note", sa.String(500), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("live_key", name=op.f("uq_payment_differences_live_key")),
        mysql_auto_increment="1001",  # so that no number somebody tries out is one
        **INNODB,
    )
    op.create_index(op.f("ix_payment_differences_order_id"), "payment_differences", ["order_id"])
    op.create_index(op.f("ix_payment_differences_status_id"), "payment_differences", ["status", "id"])


def downgrade() -> None:
    """What was found is forgotten."""
    op.drop_table("payment_differences")
    op.drop_table("payment_reconciliations")
