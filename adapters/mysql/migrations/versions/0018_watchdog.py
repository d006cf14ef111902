"""What an order promises about its parcels, and what was done about tasks that nobody has answered.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_PARCELS = {
    "ship_by": "until when it is to be dispatched; NULL while it waits for goods, or its order is not confirmed",
    "late_at": "when it was recorded that this has passed",
    "backordered_until": "until when it waits for its goods; NULL once they are allocated",
}
_TASKS = {
    "reminded_at": "when staff were reminded of it",
    "escalated_at": "when it was escalated",
    "decided_at": "when a rule decided about it",
}


def upgrade() -> None:
    """Parcels that are under way were promised nothing."""
    for table, columns in (("parcels", _PARCELS), ("operator_tasks", _TASKS)):
        for name, comment in columns.items():
            op.add_column(table, sa.Column(name, mysql.DATETIME(fsp=6), comment=comment))
    op.create_index("ix_parcels_status_ship_by", "parcels", ["status", "ship_by"])


def downgrade() -> None:
    """Nobody is reminded of anything any more."""
    op.drop_index("ix_parcels_status_ship_by", "parcels")
    for table, columns in (("operator_tasks", _TASKS), ("parcels", _PARCELS)):
        for name in columns:
            op.drop_column(table, name)
