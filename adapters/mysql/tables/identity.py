"""The tables of the User service: accounts, addresses, OAuth clients and grants, API keys, security events."""

import sqlalchemy as sa

from adapters.mysql.tables.schema import Code, Digest, Json, Moment, Uuid, exact_text, key, table

_OWNER = "users.id"
# Compared byte by byte: josé@ and jose@ are two people. What is kept is normalised (`users.normalise_email`).
_Email = exact_text(254)

users = table(
    "users",
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("email", _Email, nullable=False, index=True),
    sa.Column(
        "verified_email",
        _Email,
        # Computed, so that no change of the other two columns can forget it.
        sa.Computed("CASE WHEN email_verified_at IS NULL THEN NULL ELSE email END", persisted=True),
        unique=True,
        comment="the address once it is proven, NULL before and after closing: its owner",
    ),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("password_hash", sa.String(255), comment="NULL for an account that signs in elsewhere only"),
    sa.Column("email_verified_at", Moment),
    sa.Column("token_version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("closed_at", Moment, index=True, comment="personal data is erased then, the row stays for its orders"),
    sa.Column("marketing_emails", sa.Boolean, nullable=False, server_default=sa.false()),
)

user_roles = table(
    "user_roles",
    sa.Column("user_id", Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role", Code, primary_key=True, index=True),
)

oauth_clients = table(
    "oauth_clients",
    sa.Column("client_id", Code, primary_key=True),
    sa.Column("client_secret_hash", sa.String(255)),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("grant_types", Json, nullable=False),
    sa.Column("redirect_uris", Json, nullable=False),
    sa.Column("scope", sa.String(500), nullable=False),
    sa.Column("first_party", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("roles", Json, comment="what a service account may do when it acts for itself"),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("created_at", Moment, nullable=False),
)

addresses = table(
    "addresses",
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("user_id", Uuid, sa.ForeignKey(_OWNER, ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("label", sa.String(100)),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("line1", sa.String(200), nullable=False),
    sa.Column("line2", sa.String(200)),
    sa.Column("city", sa.String(200), nullable=False),
    sa.Column("region", sa.String(200)),
    sa.Column("postal_code", sa.String(12), nullable=False),
    sa.Column("country", sa.CHAR(2), nullable=False),
    sa.Column("is_default", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

# One mailed link each: verify an address, reset a password, change an address. Single use, expiring.
email_tokens = table(
    "email_tokens",
    sa.Column("digest", Digest, primary_key=True),
    sa.Column("user_id", Uuid, sa.ForeignKey(_OWNER, ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("purpose", Code, nullable=False),
    sa.Column("email", sa.String(254), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False, index=True),
    sa.Column("used_at", Moment),
)

# Mails about an account that wait to be sent; the row goes with the mail. So no recipient stands in Temporal's history.
account_mails = table(
    "account_mails",
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("kind", Code, nullable=False),
    sa.Column("user_id", Uuid, sa.ForeignKey(_OWNER, ondelete="CASCADE"), index=True),
    sa.Column("email", sa.String(254), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

authorization_codes = table(
    "authorization_codes",
    sa.Column("digest", Digest, primary_key=True),
    sa.Column("client_id", Code, sa.ForeignKey("oauth_clients.client_id"), nullable=False),
    sa.Column("user_id", Uuid, sa.ForeignKey(_OWNER, ondelete="CASCADE"), nullable=False),
    sa.Column("redirect_uri", sa.String(2000), nullable=False),
    sa.Column("scope", sa.String(500), nullable=False),
    sa.Column("nonce", sa.String(255)),
    sa.Column("code_challenge", key(128), nullable=False),
    sa.Column("family_id", Uuid, nullable=False, comment="what a replayed code revokes"),
    sa.Column("authenticated_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False, index=True),
    sa.Column("used_at", Moment),
)

refresh_tokens = table(
    "refresh_tokens",
    sa.Column("digest", Digest, primary_key=True),
    sa.Column("family_id", Uuid, nullable=False, index=True),
    sa.Column("client_id", Code, sa.ForeignKey("oauth_clients.client_id"), nullable=False),
    sa.Column("user_id", Uuid, sa.ForeignKey(_OWNER, ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("scope", sa.String(500), nullable=False),
    sa.Column("token_version", sa.Integer, nullable=False),
    sa.Column("authenticated_at", Moment, nullable=False),
    sa.Column("issued_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False, index=True),
    sa.Column("used_at", Moment),
    sa.Column("revoked_at", Moment),
)

# Access tokens revoked before they expire, by their jti or by the family they were issued in.
revoked_tokens = table(
    "revoked_tokens",
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("expires_at", Moment, nullable=False, index=True),
)

consents = table(
    "consents",
    sa.Column("user_id", Uuid, sa.ForeignKey(_OWNER, ondelete="CASCADE"), primary_key=True),
    sa.Column("client_id", Code, sa.ForeignKey("oauth_clients.client_id"), primary_key=True),
    sa.Column("scope", sa.String(500), nullable=False),
    sa.Column("given_at", Moment, nullable=False),
)

external_identities = table(
    "external_identities",
    sa.Column("provider", Code, primary_key=True),
    sa.Column("subject", exact_text(255), primary_key=True),
    sa.Column("user_id", Uuid, sa.ForeignKey(_OWNER, ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("email", sa.String(254), nullable=False),
    sa.Column("linked_at", Moment, nullable=False),
)

api_keys = table(
    "api_keys",
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("user_id", Uuid, sa.ForeignKey(_OWNER, ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("prefix", key(16), nullable=False, comment="shown, so that its owner knows which key it is"),
    sa.Column("digest", Digest, nullable=False, unique=True),
    sa.Column("scopes", Json, nullable=False, comment="permissions, never more than the account has"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment),
    sa.Column("last_used_at", Moment),
    sa.Column("revoked_at", Moment),
)

# Failed sign-ins, by account and by address: the truth when Redis is away.
login_failures = table(
    "login_failures",
    sa.Column("subject", key(100), primary_key=True, comment="account:<digest of the e-mail> or address:<ip>"),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last_at", Moment, nullable=False, index=True),
    sa.Column("blocked_until", Moment),
)

security_events = table(
    "security_events",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("occurred_at", Moment, nullable=False, index=True),
    sa.Column("type", Code, nullable=False),
    sa.Column("user_id", Uuid, index=True, comment="whom it is about; no foreign key, it outlives the account"),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("address", sa.String(64)),
    sa.Column("data", Json, nullable=False),
)
