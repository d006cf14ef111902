"""Accounts: registration and profile."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import EmailStr, Field, SecretStr

from schemas.base import Open, Payload, Request, Text


class Role(StrEnum):
    """A role of an account; the permissions of each are in `api/permissions.py`."""

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
    roles: list[Open[Role]]
    marketing_emails: Annotated[bool, Field(description="Whether the customer wants optional mails: cart reminders.")]
    created_at: datetime


class Account(Payload):
    """An account as stored; the hash never leaves the identity code."""

    id: str
    email: str
    email_verified: bool = False
    name: str
    password_hash: str | None
    roles: list[Open[Role]]
    token_version: int
    active: bool
    marketing_emails: bool = False
    created_at: datetime


class MailPreference(Payload):
    """Where an account gets optional mails, and whether it wants them; a closed account has neither."""

    email: str
    subscribed: bool
    closed: bool
