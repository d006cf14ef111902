"""Accounts are found by when they were closed.

Revision ID: 0026
Revises: 0022
"""

from alembic import op

revision = "0026"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows stay as they are."""
    op.create_index(op.f("ix_users_closed_at"), "users", ["closed_at"])


def downgrade() -> None:
    """Rows stay as they are."""
    op.drop_index(op.f("ix_users_closed_at"), table_name="users")
