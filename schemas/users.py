"""Accounts: registration and profile."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import EmailStr, Field, SecretStr

from schemas.base import Payload, Request, Text


class Role(StrEnum):
    """What an account may do; permissions per role are in `api/permissions.py`."""

    CUSTOMER = "customer"
    SUPPORT = "support"
    WAREHOUSE = "warehouse"
    CATALOG = "catalog"
    ADMIN = "admin"


class RegisterUser(Request):
    """`POST /v1/users`."""

    email: EmailStr
    password: Annotated[SecretStr, Field(min_length=10, max_length=128)]
    name: Text


class UserView(Payload):
    """`GET /v1/users/me`."""

    id: str
    email: str
    name: str
    roles: list[Role]
    created_at: datetime


class Account(Payload):
    """An account as the store keeps it; the hash never leaves the identity code."""

    id: str
    email: str
    name: str
    password_hash: str
    roles: list[Role]
    token_version: int
    active: bool
    created_at: datetime


class TokenResponse(Payload):
    """RFC 6749 §5.1."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the RFC's constant, not a secret
    expires_in: int
    scope: str


class OAuthClient(Payload):
    """A registered application; a confidential one has a secret to authenticate with."""

    client_id: str
    name: str
    grant_types: list[str]
    scope: str
    is_confidential: bool
