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
    email_verified: bool
    name: str
    roles: list[Role]
    marketing_emails: Annotated[bool, Field(description="wants mails that it need not get: reminders of the cart")]
    created_at: datetime


class Account(Payload):
    """An account as the store keeps it; the hash never leaves the identity code."""

    id: str
    email: str
    email_verified: bool = False
    name: str
    password_hash: str | None
    roles: list[Role]
    token_version: int
    active: bool
    marketing_emails: bool = False
    created_at: datetime


class MailWish(Payload):
    """Where an account gets mails that it need not get, and whether it wants them; of a closed one nothing is left."""

    email: str
    wanted: bool
    closed: bool
