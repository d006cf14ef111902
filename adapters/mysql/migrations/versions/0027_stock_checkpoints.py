"""What a SKU's movements come to up to one of them, so that comparing stock need not add up all there ever were.

Revision ID: 0027
Revises: 0026
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def _key(length: int) -> mysql.VARCHAR:
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


def upgrade() -> None:
    """The first run reads every movement once more."""
    op.create_table(
        "stock_checkpoints",
        sa.Column("sku", _key(64), nullable=False),
        sa.Column("warehouse", _key(64), nullable=False),
        sa.Column(
            "movement", sa.BigInteger(), nullable=False, comment="the last one contained, the same for all levels"
        ),
        sa.Column("on_hand", sa.Integer(), nullable=False),
        sa.Column("reserved", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sku", "warehouse"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
    )


def downgrade() -> None:
    """Nothing is lost that the movements do not say."""
    op.drop_table("stock_checkpoints")
