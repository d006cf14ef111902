"""Picks that warehouse staff confirm.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No warehouse asks for it until staff say so, and parcels that are planned already do not wait."""
    op.add_column(
        "warehouses",
        sa.Column(
            "pick_required",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="staff confirm what they have picked before a parcel is booked",
        ),
    )
    op.add_column(
        "parcels",
        sa.Column(
            "pick_required",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="as its warehouse asked for it when the order was placed",
        ),
    )
    op.add_column(
        "parcels", sa.Column("picked", sa.JSON(), comment="what was picked, and what was missing; NULL until then")
    )
    op.create_index("ix_parcels_pick_required_status", "parcels", ["pick_required", "status"])


def downgrade() -> None:
    """Parcels that wait for their pick are waited for by their workflows, not by their rows."""
    op.drop_index("ix_parcels_pick_required_status", "parcels")
    op.drop_column("parcels", "picked")
    op.drop_column("parcels", "pick_required")
    op.drop_column("warehouses", "pick_required")
