"""Account security: states, API keys, roles and the audit log."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from schemas.base import Open, Payload, Request, Text
from schemas.users import Account, Role, UserView


class AccountState(Payload):
    """What a token is checked against: the part of the account that decides what its bearer may do."""

    active: bool
    token_version: int
    roles: list[Open[Role]]

    @classmethod
    def of(cls, account: Account) -> "AccountState":
        """The state of this account."""
        return cls(active=account.active, token_version=account.token_version, roles=account.roles)


class ManagedUser(UserView):
    """An account as administrators see it, `GET /v1/users/{id}`."""

    active: bool


class SetRoles(Request):
    """`PUT /v1/users/{id}/roles`: all roles of the account."""

    roles: Annotated[list[Role], Field(max_length=len(Role))]


class NewApiKey(Request):
    """`POST /v1/users/me/api-keys`; `scopes` are permissions of the account, `days` is the key's lifetime."""

    name: Annotated[Text, Field(max_length=100)]
    scopes: Annotated[list[str], Field(min_length=1, max_length=50)]
    days: Annotated[int, Field(ge=1, le=366, strict=True)] = 90


class ApiKey(Payload):
    """A personal API key; its secret is shown only once, when it is created."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = None


class MadeApiKey(ApiKey):
    """A new key: the only time the secret is shown."""

    key: str


class ApiKeyList(Payload):
    """The account's valid keys, newest first."""

    items: list[ApiKey]
    next_cursor: str | None = None


class SecurityEvent(Payload):
    """An entry of the audit log."""

    id: int
    occurred_at: datetime
    type: str
    user_id: str | None
    actor: str
    address: str | None
    data: dict[str, Any]


class SecurityEventPage(Payload):
    """A keyset page of the audit log, newest first."""

    items: list[SecurityEvent]
    next_cursor: str | None = None
