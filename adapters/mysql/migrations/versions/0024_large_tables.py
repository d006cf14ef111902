"""Closed accounts, roles, the movements of a SKU and its standing reservations are found without reading all others.

Revision ID: 0024
Revises: 0023
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows stay as they are."""
    op.create_index(op.f("ix_users_closed_at"), "users", ["closed_at"])
    op.create_index(op.f("ix_user_roles_role"), "user_roles", ["role"])
    op.create_index(op.f("ix_stock_movements_sku_id"), "stock_movements", ["sku", "id"])
    op.create_index(
        op.f("ix_reservation_lines_sku_state_warehouse"), "reservation_lines", ["sku", "state", "warehouse"]
    )
    op.drop_index(op.f("ix_reservation_lines_sku_warehouse_state"), table_name="reservation_lines")


def downgrade() -> None:
    """Rows stay as they are."""
    op.create_index(
        op.f("ix_reservation_lines_sku_warehouse_state"), "reservation_lines", ["sku", "warehouse", "state"]
    )
    op.drop_index(op.f("ix_reservation_lines_sku_state_warehouse"), table_name="reservation_lines")
    op.drop_index(op.f("ix_stock_movements_sku_id"), table_name="stock_movements")
    op.drop_index(op.f("ix_user_roles_role"), table_name="user_roles")
    op.drop_index(op.f("ix_users_closed_at"), table_name="users")
