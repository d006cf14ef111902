"""OAuth 2: registered applications and token responses."""

import re
from datetime import datetime
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from schemas.base import Open, Payload, Request, Text
from schemas.users import Role

GrantType = Literal["authorization_code", "refresh_token", "client_credentials"]
Scope = Literal["openid", "profile", "email", "offline_access", "cart", "orders"]
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_SAFE_URI = re.compile(r"^[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]{1,500}$")
_APP_SCHEME = re.compile(r"^[a-z][a-z0-9-]*(\.[a-z0-9-]+)+$")


def _redirect_uri(value: str) -> str:
    """https, http on this machine, or an app's own reversed-domain scheme (RFC 8252); nothing ambiguous."""
    problem = "a redirect URI is https, http on a loopback address or an app's own com.example.app scheme"
    if not _SAFE_URI.fullmatch(value):
        raise ValueError(f"{problem}, in URI characters and without a fragment")
    parts = urlsplit(value)
    if "@" in parts.netloc or any(step in {".", ".."} for step in parts.path.split("/")) or "*" in value:
        raise ValueError(f"{problem}, without user information, dot segments and asterisks")
    web = bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK))
    if not web and not _APP_SCHEME.fullmatch(parts.scheme):
        raise ValueError(problem)
    return value


RedirectUri = Annotated[str, AfterValidator(_redirect_uri)]
ClientId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{2,63}$")]


class TokenResponse(Payload):
    """RFC 6749 §5.1, with OpenID Connect's `id_token`."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the RFC's constant, not a secret
    expires_in: int
    scope: str
    refresh_token: str | None = None
    id_token: str | None = None


class OAuthClient(Payload):
    """A registered application as administrators see it; a confidential client authenticates with a secret."""

    client_id: str
    name: str
    grant_types: list[str]
    redirect_uris: list[str]
    scope: str
    roles: list[Open[Role]]
    first_party: bool
    is_confidential: bool
    active: bool
    created_at: datetime


class MadeOAuthClient(OAuthClient):
    """A new client, or one with a new secret: the only time the secret is shown."""

    client_secret: str | None = None


class OAuthClientList(Payload):
    """`GET /v1/oauth-clients`, ordered by id."""

    items: list[OAuthClient]
    next_cursor: str | None = None


class NewOAuthClient(Request):
    """`POST /v1/oauth-clients`; `roles` apply when a service account acts for itself."""

    client_id: ClientId
    name: Text
    confidential: bool
    grant_types: Annotated[list[GrantType], Field(min_length=1, max_length=3)]
    redirect_uris: Annotated[list[RedirectUri], Field(max_length=20)] = []
    scopes: Annotated[list[Scope], Field(max_length=10)] = []
    roles: Annotated[list[Role], Field(max_length=len(Role))] = []

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if "authorization_code" in self.grant_types and not self.redirect_uris:
            raise ValueError("authorization_code needs a redirect URI")
        if "client_credentials" in self.grant_types and not self.confidential:
            raise ValueError("client_credentials is for confidential clients")
        if self.roles and "client_credentials" not in self.grant_types:
            raise ValueError("roles are for clients that act for themselves, by client_credentials")
        return self


class ChangeOAuthClient(Request):
    """`PATCH /v1/oauth-clients/{client_id}`: given fields are replaced, fields left out stay."""

    name: Text | None = None
    redirect_uris: Annotated[list[RedirectUri], Field(max_length=20)] | None = None
    scopes: Annotated[list[Scope], Field(max_length=10)] | None = None
    roles: Annotated[list[Role], Field(max_length=len(Role))] | None = None
    active: bool | None = None
