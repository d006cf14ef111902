"""Whether an account wants mails that it need not get.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody does until they say so."""
    op.add_column("users", sa.Column("marketing_emails", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    """What they said is forgotten."""
    op.drop_column("users", "marketing_emails")
