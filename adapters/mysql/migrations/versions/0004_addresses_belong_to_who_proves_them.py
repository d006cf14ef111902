"""An e-mail address belongs to the account that has proven it; until then several accounts may carry it.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Compared byte by byte: josé@ and jose@ are two people.
EMAIL = mysql.VARCHAR(254, charset="utf8mb4", collation="utf8mb4_bin")
OWNED = "CASE WHEN email_verified_at IS NULL THEN NULL ELSE email END"


def upgrade() -> None:
    """Make the proven address unique instead of the claimed one; every row that stands gets its own from MySQL."""
    op.drop_constraint("uq_users_email", "users", type_="unique")
    op.alter_column("users", "email", existing_type=sa.String(254), existing_nullable=False, type_=EMAIL)
    op.create_index("ix_users_email", "users", ["email"], unique=False)
    op.add_column(
        "users",
        sa.Column(
            "verified_email",
            EMAIL,
            sa.Computed(OWNED, persisted=True),
            nullable=True,
            comment="the address once it is proven, NULL before and after closing: its owner",
        ),
    )
    op.create_unique_constraint("uq_users_verified_email", "users", ["verified_email"])


def downgrade() -> None:
    """Undo it, last made first; refused by MySQL, with nothing changed, while two accounts carry one address."""
    op.create_unique_constraint("uq_users_email", "users", ["email"])
    op.drop_constraint("uq_users_verified_email", "users", type_="unique")
    op.drop_column("users", "verified_email")
    op.drop_index("ix_users_email", table_name="users")
    op.alter_column("users", "email", existing_type=EMAIL, existing_nullable=False, type_=sa.String(254))
