"""A provider's subjects are compared byte by byte: two that differ in case are two people, and both can sign in.

Revision ID: 0031
Revises: 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_SUBJECT = "ALTER TABLE external_identities MODIFY subject VARCHAR(255) CHARACTER SET utf8mb4 COLLATE {} NOT NULL"


def upgrade() -> None:
    """Rows stay as they are. What was accepted still is, and the release before looks at the spelling itself."""
    op.execute(sa.DDL(_SUBJECT.format("utf8mb4_bin")))  # type: ignore[no-untyped-call]


def downgrade() -> None:
    """Rows stay as they are; refused while two subjects of a provider differ in case or accents alone."""
    op.execute(sa.DDL(_SUBJECT.format("utf8mb4_unicode_ci")))  # type: ignore[no-untyped-call]
