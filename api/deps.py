"""What routes ask for by type: the stores and services of this process."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from temporalio.client import Client

from adapters.carts import CartStore
from adapters.connections import Connections
from adapters.login_throttle import RecentLogins
from adapters.mysql.account_mails import WaitingMails
from adapters.mysql.addresses import AddressBook
from adapters.mysql.api_keys import ApiKeys
from adapters.mysql.catalog import Catalog
from adapters.mysql.clients import OAuthClients
from adapters.mysql.email_tokens import EmailTokens
from adapters.mysql.external_identities import ExternalIdentities
from adapters.mysql.grants import Grants
from adapters.mysql.idempotency import IdempotencyKeys
from adapters.mysql.inventory import Stock
from adapters.mysql.login_failures import LoginFailures
from adapters.mysql.orders import OrderStore
from adapters.mysql.security_events import SecurityEvents
from adapters.mysql.users import Accounts
from adapters.mysql.webhooks import WebhookReceipts
from adapters.rate_counter import RateCounter
from adapters.search import ALIAS, ProductSearch
from adapters.settings import Settings
from adapters.token_versions import TokenVersions
from api.account_mails import AccountMails
from api.login_throttle import LoginThrottle
from api.oauth.browser import Browser
from api.oauth.external import ExternalSignIn
from api.oauth.server import AuthorizationServer, build_authorization_server
from api.passwords import Passwords
from api.sessions import Sessions
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
    grants: Grants
    browser: Browser
    external_sign_in: ExternalSignIn
    security: SecurityEvents
    sessions: Sessions
    clients: OAuthClients
    api_keys: ApiKeys
    rates: RateCounter
    throttle: LoginThrottle
    account_mails: AccountMails
    email_tokens: EmailTokens
    addresses: AddressBook


def build_services(connections: Connections, temporal: Client, tokens: AccessTokens) -> Services:
    """Put the process together."""
    settings, engine = connections.settings, connections.engine
    # A little longer than the longest checkout, so that only the key of a dead request is taken over.
    lock_seconds = settings.checkout_answer_seconds + 15
    accounts, passwords = Accounts(engine), Passwords()
    security, clients, grants = SecurityEvents(engine), OAuthClients(engine), Grants(engine)
    sessions = Sessions(accounts, TokenVersions(connections.redis), grants.revoke_all_of, grants.is_revoked)
    throttle = LoginThrottle(settings, RecentLogins(connections.redis), LoginFailures(engine), security)
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
        authorization=build_authorization_server(
            AuthorizationServer(settings, clients, accounts, passwords, tokens, grants, sessions, throttle, security)
        ),
        grants=grants,
        browser=Browser(settings),
        external_sign_in=ExternalSignIn(settings, accounts, ExternalIdentities(engine)),
        security=security,
        sessions=sessions,
        clients=clients,
        api_keys=ApiKeys(engine),
        rates=RateCounter(settings.redis_url.get_secret_value()),
        throttle=throttle,
        account_mails=AccountMails(temporal, WaitingMails(engine)),
        email_tokens=EmailTokens(engine),
        addresses=AddressBook(engine),
    )


async def services(request: Request) -> Services:
    """The services of the app that serves this request."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found


def _part(name: str) -> Callable[[Request], Awaitable[Any]]:
    # A coroutine, because FastAPI would send a plain function to another thread for this.
    async def part(request: Request) -> Any:
        return getattr(request.app.state.services, name)

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
Security = Annotated[SecurityEvents, Depends(_part("security"))]
ClientStore = Annotated[OAuthClients, Depends(_part("clients"))]
ApiKeyStore = Annotated[ApiKeys, Depends(_part("api_keys"))]
Rates = Annotated[RateCounter, Depends(_part("rates"))]
SessionService = Annotated[Sessions, Depends(_part("sessions"))]
Throttle = Annotated[LoginThrottle, Depends(_part("throttle"))]
Addresses = Annotated[AddressBook, Depends(_part("addresses"))]
