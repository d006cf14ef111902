"""Movements of a SKU are read in the sequence they happened in.

Revision ID: 0028
Revises: 0027
"""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows stay as they are."""
    op.create_index(op.f("ix_stock_movements_sku_id"), "stock_movements", ["sku", "id"])


def downgrade() -> None:
    """Rows stay as they are."""
    op.drop_index(op.f("ix_stock_movements_sku_id"), table_name="stock_movements")
