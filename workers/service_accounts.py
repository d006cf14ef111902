"""Service accounts: as whom our own processes call the API, and what each of them may do there.

The order and the notification worker have none, because they never call it: they meet the API through Temporal, Kafka
and the stores.
"""

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from adapters.mysql.identity.oauth_clients import ServiceClient, ensure_service_client
from adapters.mysql.identity.security_events import SecurityEvents
from adapters.settings import Settings
from domain.actors import ORDER_ADMIN_ACTOR
from domain.events import SecurityEventType
from schemas.users import Role


@dataclass(frozen=True)
class ServiceAccount:
    """A client, and the setting that holds its secret."""

    client: ServiceClient
    secret_setting: Literal["admin_client_secret", "supplier_client_secret"]

    @property
    def variable(self) -> str:
        """The setting as the environment spells it."""
        return f"ORDERS_{self.secret_setting.upper()}"

    def secret(self, settings: Settings) -> str | None:
        """The secret, None where it is not set: there the account is not made."""
        value = getattr(settings, self.secret_setting)
        return None if value is None else str(value.get_secret_value())


ORDER_ADMIN = ServiceAccount(
    ServiceClient(
        "order-admin",
        "Command line tool: imports and exports products",
        roles=(Role.CATALOG,),
        permissions=("products:manage", "stock:read"),
    ),
    "admin_client_secret",
)
SUPPLIER_SIMULATOR = ServiceAccount(
    ServiceClient(
        "supplier-simulator",
        "Development: delivers goods when stock runs low",
        roles=(Role.WAREHOUSE,),
        permissions=("stock:move", "stock:read"),
    ),
    "supplier_client_secret",
)
SERVICE_ACCOUNTS = (ORDER_ADMIN, SUPPLIER_SIMULATOR)


def ensure_service_accounts(
    engine: sa.Engine, settings: Settings, accounts: tuple[ServiceAccount, ...] = SERVICE_ACCOUNTS
) -> dict[str, str]:
    """Have every account be as its line says, with the secret of the settings; what became of each, by client id.

    A changed secret replaces the old one at once; tokens that were issued stay valid for their few minutes.
    """
    return {account.client.client_id: _ensure(engine, settings, account) for account in accounts}


def _ensure(engine: sa.Engine, settings: Settings, account: ServiceAccount) -> str:
    secret, client_id = account.secret(settings), account.client.client_id
    if secret is None:
        return f"left out, {account.variable} is not set"
    done = ensure_service_client(engine, account.client, secret)
    if done is None:
        return "was there"
    kind = SecurityEventType.OAUTH_CLIENT_CREATED if done == "made" else SecurityEventType.OAUTH_CLIENT_CHANGED
    SecurityEvents(engine).record(kind, user_id=None, actor=ORDER_ADMIN_ACTOR, client_id=client_id)
    return done
