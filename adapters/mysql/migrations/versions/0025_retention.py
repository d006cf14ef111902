"""What retention needs: an archive of order events, the runs of schedules, and indexes of the moments it goes by.

Revision ID: 0025
Revises: 0024
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_MOMENT = mysql.DATETIME(fsp=6)
_INDEXES = (
    ("idempotency_keys", "expires_at"),
    ("webhook_receipts", "received_at"),
    ("notifications", "sent_at"),
    ("email_tokens", "expires_at"),
    ("login_failures", "last_at"),
)


def _key(length: int) -> mysql.VARCHAR:
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


def upgrade() -> None:
    """Everything stays where it is until the first run."""
    _order_events_archive()
    op.create_table(
        "schedule_runs",
        sa.Column("schedule", _key(64), nullable=False),
        sa.Column("every_seconds", sa.Integer(), comment="NULL until `order-admin setup` has made the schedule"),
        sa.Column("known_since", _MOMENT, nullable=False),
        sa.Column("succeeded_at", _MOMENT, comment="when the last run that succeeded ended; NULL: none has"),
        sa.Column("seconds", sa.Double(), comment="how long that run took"),
        sa.PrimaryKeyConstraint("schedule"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
    )
    for table, column in _INDEXES:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def downgrade() -> None:
    """Archived events go back to the others."""
    for table, column in _INDEXES:
        op.drop_index(op.f(f"ix_{table}_{column}"), table)
    op.drop_table("schedule_runs")
    op.execute("INSERT INTO order_events SELECT * FROM order_events_archive")
    op.drop_table("order_events_archive")


def _order_events_archive() -> None:
    op.create_table(
        "order_events_archive",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", _key(36), nullable=False),
        sa.Column("order_id", _key(36), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(100), nullable=False, comment="identifies a repeat of the same step"),
        sa.Column("type", _key(64), nullable=False),
        sa.Column("status", _key(64), nullable=False),
        sa.Column("payment_status", _key(64), nullable=False),
        sa.Column("fulfilment_status", _key(64), nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("occurred_at", _MOMENT, nullable=False),
        sa.Column("partition_no", sa.SmallInteger(), nullable=False),
        sa.Column("published_at", _MOMENT),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_events_archive_order_id")),
        sa.UniqueConstraint("event_id", name=op.f("uq_order_events_archive_event_id")),
        sa.UniqueConstraint("order_id", "seq", name=op.f("uq_order_events_archive_order_id_seq")),
        sa.UniqueConstraint("order_id", "step", name=op.f("uq_order_events_archive_order_id_step")),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
    )
