"""What needs an operator.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def _key(length: int) -> mysql.VARCHAR:
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


def upgrade() -> None:
    """Make the table; workflows write their rows when something in them begins to wait."""
    moment = mysql.DATETIME(fsp=6)
    op.create_table(
        "operator_tasks",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("workflow_id", _key(255), nullable=False),
        sa.Column(
            "task_key", _key(64), nullable=False, comment="digest of code, about and number, within the workflow"
        ),
        sa.Column("order_id", _key(36), comment="NULL when it is about no order of ours"),
        sa.Column("code", _key(64), nullable=False),
        sa.Column("about", sa.String(200), nullable=False),
        sa.Column("text", sa.String(1000), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("due_at", moment, comment="when a rule decides instead, or it is too late"),
        sa.Column("route", sa.String(255), comment="what acts on it"),
        sa.Column("outlasts", sa.Boolean(), nullable=False, comment="waits until somebody resolves it"),
        sa.Column("revision", sa.BigInteger(), nullable=False, comment="an older write never replaces a newer one"),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("resolved_at", moment, comment="NULL while it needs an operator"),
        sa.Column("resolved_by", sa.String(100), comment="NULL when its workflow did"),
        sa.Column("resolution", sa.String(500)),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("workflow_id", "task_key", name="uq_operator_tasks_workflow_id_task_key"),
        sa.Index("ix_operator_tasks_resolved_at_since_id", "resolved_at", "since", "id"),
        sa.Index("ix_operator_tasks_order_id_resolved_at", "order_id", "resolved_at"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
    )


def downgrade() -> None:
    """What waits is still shown in the Temporal Web UI."""
    op.drop_table("operator_tasks")
