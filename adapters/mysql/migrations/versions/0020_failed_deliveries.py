"""What is done about parcels that were lost or returned, and which parcel a refund or an operator task is about.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def _key(length: int) -> mysql.VARCHAR:
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


def upgrade() -> None:
    """Tasks that are open already are about no parcel: their route names it."""
    moment = mysql.DATETIME(fsp=6)
    about = sa.Column("parcel", sa.Integer(), comment="the number of the order's parcel that it is about")
    op.add_column("operator_tasks", about)
    op.add_column("refunds", sa.Column("parcel", sa.Integer(), comment="the parcel of the order that it is for"))
    op.create_table(
        "parcel_resolutions",
        sa.Column("order_id", _key(36), nullable=False),
        sa.Column("parcel", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("action", _key(64), nullable=False, comment="what is done about a parcel that was lost or returned"),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("restock", sa.Boolean(), nullable=False),
        sa.Column("refund_id", _key(36), comment="NULL while it is under way, and when nothing was left to refund"),
        sa.Column("amount", sa.BigInteger()),
        sa.Column("currency", sa.CHAR(3)),
        sa.Column("requested_at", moment, nullable=False),
        sa.Column("resolved_at", moment, comment="NULL while it is under way"),
        sa.PrimaryKeyConstraint("order_id", "parcel"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_parcel_resolutions_order_id")),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
    )


def downgrade() -> None:
    """The refunds stay; that they were for a parcel is forgotten."""
    op.drop_table("parcel_resolutions")
    op.drop_column("refunds", "parcel")
    op.drop_column("operator_tasks", "parcel")
