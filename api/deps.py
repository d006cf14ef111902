"""What routes ask for by type: the stores and services of this process."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from temporalio.client import Client

from adapters.carts import CartStore
from adapters.connections import Connections
from adapters.mysql.catalog import Catalog
from adapters.mysql.clients import OAuthClients
from adapters.mysql.idempotency import IdempotencyKeys
from adapters.mysql.inventory import Stock
from adapters.mysql.orders import OrderStore
from adapters.mysql.users import Accounts
from adapters.mysql.webhooks import WebhookReceipts
from adapters.search import ALIAS, ProductSearch
from adapters.settings import Settings
from api.authorization import AuthorizationServer, build_authorization_server
from api.passwords import Passwords
from api.tokens import AccessTokens


@dataclass(frozen=True)
class Services:
    """Everything a request may need, made once per process."""

    settings: Settings
    connections: Connections
    temporal: Client
    tokens: AccessTokens
    passwords: Passwords
    accounts: Accounts
    catalog: Catalog
    carts: CartStore
    search: ProductSearch
    stock: Stock
    orders: OrderStore
    idempotency: IdempotencyKeys
    receipts: WebhookReceipts
    authorization: AuthorizationServer


def build_services(connections: Connections, temporal: Client, tokens: AccessTokens) -> Services:
    """Put the process together."""
    settings, engine = connections.settings, connections.engine
    # A little longer than the longest checkout, so that only the key of a dead request is taken over.
    lock_seconds = settings.checkout_answer_seconds + 15
    accounts, passwords = Accounts(engine), Passwords()
    return Services(
        settings=settings,
        connections=connections,
        temporal=temporal,
        tokens=tokens,
        passwords=passwords,
        accounts=accounts,
        catalog=Catalog(engine),
        carts=CartStore(connections.mongo, connections.redis),
        search=ProductSearch(connections.elasticsearch, f"{settings.name_prefix}{ALIAS}"),
        stock=Stock(engine),
        orders=OrderStore(engine),
        idempotency=IdempotencyKeys(engine, lock_seconds, settings.idempotency_hours),
        receipts=WebhookReceipts(engine),
        authorization=build_authorization_server(settings, OAuthClients(engine), accounts, passwords, tokens),
    )


def services(request: Request) -> Services:
    """The services of the app that serves this request."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found


def _part(name: str) -> Callable[[Request], Any]:
    def part(request: Request) -> Any:
        return getattr(services(request), name)

    return part


All = Annotated[Services, Depends(services)]
AppSettings = Annotated[Settings, Depends(_part("settings"))]
AppConnections = Annotated[Connections, Depends(_part("connections"))]
Temporal = Annotated[Client, Depends(_part("temporal"))]
TokenService = Annotated[AccessTokens, Depends(_part("tokens"))]
PasswordService = Annotated[Passwords, Depends(_part("passwords"))]
AccountStore = Annotated[Accounts, Depends(_part("accounts"))]
CatalogStore = Annotated[Catalog, Depends(_part("catalog"))]
Carts = Annotated[CartStore, Depends(_part("carts"))]
Search = Annotated[ProductSearch, Depends(_part("search"))]
StockStore = Annotated[Stock, Depends(_part("stock"))]
Orders = Annotated[OrderStore, Depends(_part("orders"))]
Keys = Annotated[IdempotencyKeys, Depends(_part("idempotency"))]
Receipts = Annotated[WebhookReceipts, Depends(_part("receipts"))]
Authorization = Annotated[AuthorizationServer, Depends(_part("authorization"))]
