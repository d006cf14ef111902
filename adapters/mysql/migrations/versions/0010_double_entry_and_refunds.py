"""The payments ledger in double entry, and what has been asked to be given back.

Revision ID: 0010
Revises: 0009
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _key(length: int) -> mysql.VARCHAR:
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


UUID, CODE = _key(36), _key(64)
MOMENT = mysql.DATETIME(fsp=6)
INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}
# As domain/ledger.py has it today: kind, account, sign.
_POSTED = (
    ("authorization", "promised", -1),
    ("authorization", "held", 1),
    ("void", "held", -1),
    ("void", "promised", 1),
    ("capture", "held", -1),
    ("capture", "promised", 1),
    ("capture", "sales", -1),
    ("capture", "provider", 1),
    ("refund", "provider", -1),
    ("refund", "refunds", 1),
)


def upgrade() -> None:
    """Make them, and post the entries so far."""
    op.create_table(
        "ledger_postings",
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("account", CODE, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="what the account receives, in minor units"),
        sa.ForeignKeyConstraint(["entry_id"], ["payment_entries.id"], name=op.f("fk_ledger_postings_entry_id")),
        sa.PrimaryKeyConstraint("entry_id", "account"),
        **INNODB,
    )
    for kind, account, sign in _POSTED:
        post = sa.text(
            "INSERT INTO ledger_postings (entry_id, account, amount) "
            "SELECT id, :account, :sign * amount FROM payment_entries WHERE kind = :kind"
        )
        op.execute(post.bindparams(kind=kind, account=account, sign=sign))
    op.create_table(
        "refunds",
        sa.Column("id", UUID, nullable=False),
        sa.Column("order_id", UUID, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("provider_id", sa.String(100), nullable=False, comment="the payment it is given back of"),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("status", CODE, nullable=False),
        sa.Column("failure_code", CODE, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_refunds_amount")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_refunds_order_id")),
        sa.PrimaryKeyConstraint("id"),
        **INNODB,
    )
    op.create_index(op.f("ix_refunds_order_id"), "refunds", ["order_id"])


def downgrade() -> None:
    """Entries stay; what was asked to be given back is forgotten."""
    op.drop_table("refunds")
    op.drop_table("ledger_postings")
