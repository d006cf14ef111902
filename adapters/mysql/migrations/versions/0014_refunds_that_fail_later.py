"""Refunds that fail after they had succeeded: what the provider calls each part, and when its money came back.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; what the provider calls the parts so far stands in the ledger, under the refund's key."""
    op.add_column(
        "refund_parts",
        sa.Column(
            "provider_refund_id",
            sa.String(100),
            nullable=True,
            comment="what the provider calls it once it is done",
        ),
    )
    op.add_column(
        "refund_parts",
        sa.Column(
            "failed_at",
            mysql.DATETIME(fsp=6),
            nullable=True,
            comment="when its money was found to have come back after it had succeeded",
        ),
    )
    op.create_index(op.f("ix_refund_parts_provider_refund_id"), "refund_parts", ["provider_refund_id"])
    op.execute(
        "UPDATE refund_parts JOIN payment_entries ON payment_entries.kind = 'refund' "
        "AND payment_entries.order_id = refund_parts.order_id AND payment_entries.idempotency_key = "
        "CONCAT('refund-', refund_id, '\\:refund', IF(number = 1, '', CONCAT('-', number))) "
        "SET refund_parts.provider_refund_id = payment_entries.provider_id "
        "WHERE refund_parts.provider_id IS NOT NULL"
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_index(op.f("ix_refund_parts_provider_refund_id"), "refund_parts")
    op.drop_column("refund_parts", "failed_at")
    op.drop_column("refund_parts", "provider_refund_id")
