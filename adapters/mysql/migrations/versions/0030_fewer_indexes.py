"""The index by SKU, warehouse and state is replaced by the one of the revision before.

Revision ID: 0030
Revises: 0029
"""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows stay as they are."""
    op.drop_index(op.f("ix_reservation_lines_sku_warehouse_state"), table_name="reservation_lines")


def downgrade() -> None:
    """Rows stay as they are."""
    op.create_index(
        op.f("ix_reservation_lines_sku_warehouse_state"), "reservation_lines", ["sku", "warehouse", "state"]
    )
