"""Of a SKU that was sold often only the reservations that stand are read.

Revision ID: 0029
Revises: 0028
"""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows stay as they are."""
    op.create_index(
        op.f("ix_reservation_lines_sku_state_warehouse"), "reservation_lines", ["sku", "state", "warehouse"]
    )


def downgrade() -> None:
    """Rows stay as they are."""
    op.drop_index(op.f("ix_reservation_lines_sku_state_warehouse"), table_name="reservation_lines")
