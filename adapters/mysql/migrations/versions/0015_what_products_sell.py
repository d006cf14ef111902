"""What each product has sold lately.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; the next count fills it."""
    op.create_table(
        "product_sales",
        sa.Column("product", mysql.VARCHAR(64, charset="ascii", collation="ascii_bin"), nullable=False),
        sa.Column(
            "units",
            sa.Integer(),
            nullable=False,
            comment="sold lately, as counted last; added to its popularity",
        ),
        sa.Column("counted_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.PrimaryKeyConstraint("product"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
    )


def downgrade() -> None:
    """What was counted can be counted again."""
    op.drop_table("product_sales")
