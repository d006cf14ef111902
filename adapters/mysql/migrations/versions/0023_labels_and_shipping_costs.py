"""What a parcel was booked by with the carrier, what that costs, and its label.

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_ADDED = ("label_url", "carrier_service", "rate_id", "shipping_cost", "shipping_cost_currency")


def upgrade() -> None:
    """What was booked before has none of it."""
    service = "what the present booking was made by, and by which rate"
    cost = "what the carrier charges us for the present booking"
    op.add_column("parcels", sa.Column("label_url", sa.String(500)))
    op.add_column("parcels", sa.Column("carrier_service", sa.String(64), comment=service))
    op.add_column("parcels", sa.Column("rate_id", sa.String(100)))
    op.add_column("parcels", sa.Column("shipping_cost", sa.BigInteger(), comment=cost))
    op.add_column("parcels", sa.Column("shipping_cost_currency", sa.CHAR(3)))


def downgrade() -> None:
    """The carrier knows its own bookings; here they are forgotten."""
    for name in _ADDED:
        op.drop_column("parcels", name)
