"""Store credit, and refunds whose parts go different ways.

Revision ID: 0013
Revises: 0010
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def _key(length: int) -> mysql.VARCHAR:
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


UUID, CODE = _key(36), _key(64)
MOMENT = mysql.DATETIME(fsp=6)
INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}


def upgrade() -> None:
    """Make the tables; a refund so far is one part, of the one payment its order had."""
    _make_credit()
    op.create_table(
        "refund_parts",
        sa.Column("refund_id", UUID, nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("order_id", UUID, nullable=False),
        sa.Column(
            "provider_id",
            sa.String(100),
            nullable=True,
            comment="the payment it is given back of; NULL: as store credit",
        ),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("status", CODE, nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_refund_parts_amount")),
        sa.ForeignKeyConstraint(["refund_id"], ["refunds.id"], name=op.f("fk_refund_parts_refund_id")),
        sa.PrimaryKeyConstraint("refund_id", "number"),
        **INNODB,
    )
    op.create_index(op.f("ix_refund_parts_order_id"), "refund_parts", ["order_id"])
    op.execute(
        "INSERT INTO refund_parts (refund_id, number, order_id, provider_id, amount, status) "
        "SELECT id, 1, order_id, provider_id, amount, status FROM refunds"
    )
    op.drop_column("refunds", "provider_id")


def _make_credit() -> None:
    op.create_table(
        "credit_accounts",
        sa.Column("customer_id", UUID, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("customer_id"),
        **INNODB,
    )
    op.create_table(
        "credit_entries",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("customer_id", UUID, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("kind", CODE, nullable=False),
        sa.Column("source", CODE, nullable=False, comment="the account the amount is taken from"),
        sa.Column("target", CODE, nullable=False, comment="the account that receives it"),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("order_id", UUID, nullable=True),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("idempotency_key", _key(255), nullable=False),
        sa.Column("occurred_at", MOMENT, nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_credit_entries_amount")),
        sa.CheckConstraint("source <> target", name=op.f("ck_credit_entries_accounts")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["credit_accounts.customer_id"], name=op.f("fk_credit_entries_customer_id")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_credit_entries_order_id")),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_credit_entries_idempotency_key")),
        **INNODB,
    )
    op.create_index(op.f("ix_credit_entries_customer_id_id"), "credit_entries", ["customer_id", "id"])
    op.create_index(op.f("ix_credit_entries_order_id"), "credit_entries", ["order_id"])


def downgrade() -> None:
    """Credit is forgotten, and so are the parts of refunds that were given as credit."""
    op.add_column("refunds", sa.Column("provider_id", sa.String(100), nullable=True))
    op.execute(
        "UPDATE refunds SET provider_id = COALESCE("
        "(SELECT provider_id FROM refund_parts WHERE refund_id = refunds.id AND number = 1), '')"
    )
    op.alter_column(
        "refunds",
        "provider_id",
        existing_type=sa.String(100),
        nullable=False,
        comment="the payment it is given back of",
    )
    op.drop_table("refund_parts")
    op.drop_table("credit_entries")
    op.drop_table("credit_accounts")
