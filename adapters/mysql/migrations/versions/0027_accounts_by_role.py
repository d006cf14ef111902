"""Accounts are found by their role.

Revision ID: 0027
Revises: 0026
"""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows stay as they are."""
    op.create_index(op.f("ix_user_roles_role"), "user_roles", ["role"])


def downgrade() -> None:
    """Rows stay as they are."""
    op.drop_index(op.f("ix_user_roles_role"), table_name="user_roles")
