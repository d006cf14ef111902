"""Entries of the ledger that were booked lately are found without reading all others.

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
    op.create_index(op.f("ix_payment_entries_occurred_at"), "payment_entries", ["occurred_at"])


def downgrade() -> None:
    """Rows stay as they are."""
    op.drop_index(op.f("ix_payment_entries_occurred_at"), table_name="payment_entries")
