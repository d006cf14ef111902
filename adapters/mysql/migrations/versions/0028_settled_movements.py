"""A run of the stock reconciliation says which movement was the newest when it ended.

Revision ID: 0028
Revises: 0027
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Earlier runs do not say it."""
    op.add_column(
        "stock_reconciliations",
        sa.Column("last_movement", sa.BigInteger(), comment="the newest there was when the run ended"),
    )


def downgrade() -> None:
    """Checkpoints stay where they are."""
    op.drop_column("stock_reconciliations", "last_movement")
