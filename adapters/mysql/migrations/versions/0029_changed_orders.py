"""Orders that have changed lately are found without reading all others.

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
    op.create_index(op.f("ix_orders_updated_at"), "orders", ["updated_at"])


def downgrade() -> None:
    """Rows stay as they are."""
    op.drop_index(op.f("ix_orders_updated_at"), table_name="orders")
