"""What the catalog has yet to announce: prices that begin or end by themselves, shelves that were renamed or moved.

Revision ID: 0007
Revises: 0006
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _key(length: int) -> mysql.VARCHAR:
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


SKU, CODE = _key(64), _key(64)
MOMENT = mysql.DATETIME(fsp=6)
INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}


def upgrade() -> None:
    """Make both tables; prices count as looked through up to now."""
    op.create_table(
        "price_watermark",
        sa.Column("name", CODE, nullable=False),
        sa.Column("moment", MOMENT, nullable=False, comment="prices that began or ended before it are announced"),
        sa.Column("sku", SKU, server_default="", nullable=False, comment="of those at the moment: SKUs up to this one"),
        sa.PrimaryKeyConstraint("name"),
        **INNODB,
    )
    op.execute("INSERT INTO price_watermark (name, moment) VALUES ('prices', UTC_TIMESTAMP(6))")
    op.create_table(
        "shelf_news",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("kind", CODE, nullable=False, comment="brand or category"),
        sa.Column("code", CODE, nullable=False),
        sa.Column("after_product", SKU, server_default="", nullable=False, comment="products up to it are announced"),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **INNODB,
    )


def downgrade() -> None:
    """What was not announced yet shows in the search index when it is made anew."""
    op.drop_table("shelf_news")
    op.drop_table("price_watermark")
