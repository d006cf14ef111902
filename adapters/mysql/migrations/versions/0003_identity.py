"""Identity: addresses, mailed links, OAuth codes and tokens, API keys, failed sign-ins, security events.

Revision ID: 0003
Revises: 0002
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _key(length: int) -> mysql.VARCHAR:
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


MOMENT = mysql.DATETIME(fsp=6)
INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}


def upgrade() -> None:
    """Create them, and let an account have no password of its own."""
    op.create_table(
        "login_failures",
        sa.Column("subject", _key(100), nullable=False, comment="account:<digest of the e-mail> or address:<ip>"),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.Column("blocked_until", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("subject"),
        **INNODB,
    )
    op.create_table(
        "revoked_tokens",
        sa.Column("id", _key(36), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **INNODB,
    )
    op.create_index(op.f("ix_revoked_tokens_expires_at"), "revoked_tokens", ["expires_at"], unique=False)
    op.create_table(
        "security_events",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("occurred_at", MOMENT, nullable=False),
        sa.Column("type", _key(64), nullable=False),
        sa.Column(
            "user_id", _key(36), nullable=True, comment="whom it is about; no foreign key, it outlives the account"
        ),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **INNODB,
    )
    op.create_index(op.f("ix_security_events_occurred_at"), "security_events", ["occurred_at"], unique=False)
    op.create_index(op.f("ix_security_events_user_id"), "security_events", ["user_id"], unique=False)
    op.create_table(
        "account_mails",
        sa.Column("id", _key(36), nullable=False),
        sa.Column("kind", _key(64), nullable=False),
        sa.Column("user_id", _key(36), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_account_mails_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        **INNODB,
    )
    op.create_index(op.f("ix_account_mails_user_id"), "account_mails", ["user_id"], unique=False)
    op.create_table(
        "addresses",
        sa.Column("id", _key(36), nullable=False),
        sa.Column("user_id", _key(36), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("line1", sa.String(length=200), nullable=False),
        sa.Column("line2", sa.String(length=200), nullable=True),
        sa.Column("city", sa.String(length=200), nullable=False),
        sa.Column("region", sa.String(length=200), nullable=True),
        sa.Column("postal_code", sa.String(length=12), nullable=False),
        sa.Column("country", sa.CHAR(length=2), nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_addresses_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        **INNODB,
    )
    op.create_index(op.f("ix_addresses_user_id"), "addresses", ["user_id"], unique=False)
    op.create_table(
        "api_keys",
        sa.Column("id", _key(36), nullable=False),
        sa.Column("user_id", _key(36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("prefix", _key(16), nullable=False, comment="shown, so that its owner knows which key it is"),
        sa.Column("digest", _key(64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False, comment="permissions, never more than the account has"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("last_used_at", MOMENT, nullable=True),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_keys_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
        **INNODB,
    )
    op.create_index(op.f("ix_api_keys_user_id"), "api_keys", ["user_id"], unique=False)
    op.create_table(
        "authorization_codes",
        sa.Column("digest", _key(64), nullable=False),
        sa.Column("client_id", _key(64), nullable=False),
        sa.Column("user_id", _key(36), nullable=False),
        sa.Column("redirect_uri", sa.String(length=2000), nullable=False),
        sa.Column("scope", sa.String(length=500), nullable=False),
        sa.Column("nonce", sa.String(length=255), nullable=True),
        sa.Column("code_challenge", _key(128), nullable=False),
        sa.Column("family_id", _key(36), nullable=False, comment="what a replayed code revokes"),
        sa.Column("authenticated_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_clients.client_id"], name=op.f("fk_authorization_codes_client_id")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_authorization_codes_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest"),
        **INNODB,
    )
    op.create_index(op.f("ix_authorization_codes_expires_at"), "authorization_codes", ["expires_at"], unique=False)
    op.create_table(
        "consents",
        sa.Column("user_id", _key(36), nullable=False),
        sa.Column("client_id", _key(64), nullable=False),
        sa.Column("scope", sa.String(length=500), nullable=False),
        sa.Column("given_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["oauth_clients.client_id"], name=op.f("fk_consents_client_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_consents_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "client_id"),
        **INNODB,
    )
    op.create_table(
        "email_tokens",
        sa.Column("digest", _key(64), nullable=False),
        sa.Column("user_id", _key(36), nullable=False),
        sa.Column("purpose", _key(64), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_email_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest"),
        **INNODB,
    )
    op.create_index(op.f("ix_email_tokens_user_id"), "email_tokens", ["user_id"], unique=False)
    op.create_table(
        "external_identities",
        sa.Column("provider", _key(64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("user_id", _key(36), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("linked_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_external_identities_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("provider", "subject"),
        **INNODB,
    )
    op.create_index(op.f("ix_external_identities_user_id"), "external_identities", ["user_id"], unique=False)
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", _key(64), nullable=False),
        sa.Column("family_id", _key(36), nullable=False),
        sa.Column("client_id", _key(64), nullable=False),
        sa.Column("user_id", _key(36), nullable=False),
        sa.Column("scope", sa.String(length=500), nullable=False),
        sa.Column("token_version", sa.Integer(), nullable=False),
        sa.Column("authenticated_at", MOMENT, nullable=False),
        sa.Column("issued_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["oauth_clients.client_id"], name=op.f("fk_refresh_tokens_client_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_refresh_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest"),
        **INNODB,
    )
    op.create_index(op.f("ix_refresh_tokens_expires_at"), "refresh_tokens", ["expires_at"], unique=False)
    op.create_index(op.f("ix_refresh_tokens_family_id"), "refresh_tokens", ["family_id"], unique=False)
    op.create_index(op.f("ix_refresh_tokens_user_id"), "refresh_tokens", ["user_id"], unique=False)
    op.add_column(
        "oauth_clients",
        sa.Column("roles", sa.JSON(), nullable=True, comment="what a service account may do when it acts for itself"),
    )
    op.add_column("oauth_clients", sa.Column("active", sa.Boolean(), server_default=sa.text("1"), nullable=False))
    op.add_column("users", sa.Column("email_verified_at", MOMENT, nullable=True))
    op.add_column(
        "users",
        sa.Column(
            "closed_at", MOMENT, nullable=True, comment="personal data is erased then, the row stays for its orders"
        ),
    )
    op.alter_column(
        "users",
        "password_hash",
        existing_type=mysql.VARCHAR(length=255),
        nullable=True,
        comment="NULL for an account that signs in elsewhere only",
    )
    # Our own storefront, where it is registered already, may refresh its tokens and ask who signed in.
    op.execute(
        """UPDATE oauth_clients SET grant_types = '["password", "refresh_token"]',
        scope = 'openid profile email offline_access cart orders'
        WHERE client_id = 'storefront' AND scope = 'profile cart orders'"""
    )


def downgrade() -> None:
    """Drop them, last made first."""
    op.alter_column(
        "users",
        "password_hash",
        existing_type=mysql.VARCHAR(length=255),
        nullable=False,
        comment=None,
        existing_comment="NULL for an account that signs in elsewhere only",
    )
    op.drop_column("users", "closed_at")
    op.drop_column("users", "email_verified_at")
    op.drop_column("oauth_clients", "active")
    op.drop_column("oauth_clients", "roles")
    op.drop_table("refresh_tokens")
    op.drop_table("external_identities")
    op.drop_table("email_tokens")
    op.drop_table("consents")
    op.drop_table("authorization_codes")
    op.drop_table("api_keys")
    op.drop_table("addresses")
    op.drop_table("account_mails")
    op.drop_table("security_events")
    op.drop_table("revoked_tokens")
    op.drop_table("login_failures")
