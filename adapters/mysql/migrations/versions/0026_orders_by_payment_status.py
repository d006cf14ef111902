"""Orders that may hold money are found without reading all others.

Revision ID: 0026
Revises: 0025
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows stay as they are."""
    op.create_index(op.f("ix_orders_payment_status_updated_at"), "orders", ["payment_status", "updated_at"])


def downgrade() -> None:
    """Rows stay as they are."""
    op.drop_index(op.f("ix_orders_payment_status_updated_at"), table_name="orders")
