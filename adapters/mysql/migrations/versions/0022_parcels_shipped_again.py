"""Parcels that are shipped in the place of one that was lost or returned.

Revision ID: 0022
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Every parcel there is was planned with its order."""
    comment = "the parcel in whose place it is shipped; NULL: planned with its order"
    op.add_column("parcels", sa.Column("replaces", sa.Integer(), comment=comment))
    op.create_unique_constraint(op.f("uq_parcels_order_id_replaces"), "parcels", ["order_id", "replaces"])


def downgrade() -> None:
    """The parcels stay; in whose place they are is forgotten."""
    op.drop_constraint(op.f("uq_parcels_order_id_replaces"), "parcels", type_="unique")
    op.drop_column("parcels", "replaces")
