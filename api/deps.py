"""What routes ask for by type: the stores and services of this process."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from operator import attrgetter
from typing import Annotated, Any

from fastapi import Depends, Request
from temporalio.client import Client

from adapters.carts.cached import CachedCarts
from adapters.carts.documents import Lifetimes
from adapters.carts.epoch import CacheEpoch
from adapters.carts.offers import CartOffers
from adapters.carts.store import CartStore
from adapters.connections import Connections
from adapters.login_throttle import RecentLogins
from adapters.mysql.catalog.edits import ProductEdits
from adapters.mysql.catalog.imports import ProductImports
from adapters.mysql.catalog.pages import ProductPages
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.catalog.taxonomy import Taxonomy
from adapters.mysql.idempotency import IdempotencyKeys
from adapters.mysql.identity.account_mails import WaitingMails
from adapters.mysql.identity.addresses import AddressBook
from adapters.mysql.identity.api_keys import ApiKeys
from adapters.mysql.identity.email_tokens import EmailTokens
from adapters.mysql.identity.external_identities import ExternalIdentities
from adapters.mysql.identity.grants import Grants
from adapters.mysql.identity.login_failures import LoginFailures
from adapters.mysql.identity.oauth_clients import OAuthClients
from adapters.mysql.identity.security_events import SecurityEvents
from adapters.mysql.identity.users import Accounts
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.stock import Stock
from adapters.mysql.orders.vouchers import Vouchers
from adapters.mysql.payments.credit import StoreCredit
from adapters.mysql.payments.flagged_webhooks import FlaggedWebhooks
from adapters.mysql.payments.ledger import Ledger
from adapters.mysql.webhooks import WebhookReceipts
from adapters.rate_counter import RateCounter
from adapters.redis_pipeline import RedisPipeline
from adapters.search.orders import ORDERS_ALIAS, OrderSearch
from adapters.search.products import ALIAS, ProductSearch
from adapters.settings import Settings
from adapters.token_versions import TokenVersions
from adapters.topic_tail import TopicTail
from api.account_mails import AccountMails
from api.cart_feeds import CartFeeds
from api.login_throttle import LoginThrottle
from api.oauth.browser import Browser
from api.oauth.external import ExternalSignIn
from api.oauth.server import AuthorizationServer, build_authorization_server
from api.passwords import Passwords
from api.quotes import Quotes
from api.search_threads import SearchThreads
from api.sessions import Sessions
from api.tokens import AccessTokens
from api.turnstile import Turnstile
from schemas.events import PRODUCTS_TOPIC


@dataclass(frozen=True)
class CatalogDesk:
    """What shows products and changes them."""

    pages: ProductPages
    edits: ProductEdits
    shelves: Taxonomy
    imports: ProductImports


@dataclass(frozen=True)
class CartDesk:
    """What shows carts, follows them and changes them, and the way to Redis that all of it shares."""

    store: CartStore
    warm: CachedCarts
    offers: CartOffers
    feeds: CartFeeds
    line: RedisPipeline


@dataclass(frozen=True)
class SearchDesk:
    """What finds products and orders, and the threads it waits in."""

    products: ProductSearch
    orders: OrderSearch
    threads: SearchThreads


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
    catalog_desk: CatalogDesk
    cart_desk: CartDesk
    search_desk: SearchDesk
    stock: Stock
    vouchers: Vouchers
    orders: OrderStore
    checkouts: Turnstile
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

    @property
    def carts(self) -> CartStore:
        """Carts as MongoDB has them."""
        return self.cart_desk.store

    @property
    def quotes(self) -> Quotes:
        """Signs what customers are shown; it keeps nothing."""
        return Quotes(self.settings)

    @property
    def flagged_webhooks(self) -> FlaggedWebhooks:
        """Webhooks that the books contradict."""
        return FlaggedWebhooks(self.connections.engine)

    @property
    def ledger(self) -> Ledger:
        """What the books say of a payment."""
        return Ledger(self.connections.engine)

    @property
    def credit(self) -> StoreCredit:
        """Customers' store credit."""
        return StoreCredit(self.connections.engine)


def build_services(connections: Connections, temporal: Client, tokens: AccessTokens) -> Services:
    """Put the process together."""
    settings, engine = connections.settings, connections.engine
    accounts, passwords = Accounts(engine), Passwords(settings.password_memory_kib)
    line = RedisPipeline(settings.redis_url.get_secret_value())
    security, clients, grants = SecurityEvents(engine), OAuthClients(engine), Grants(engine)
    sessions = Sessions(accounts, TokenVersions(connections.redis, line), grants.revoke_all_of, grants.is_revoked)
    throttle = LoginThrottle(settings, RecentLogins(connections.redis), LoginFailures(engine), security)
    server = AuthorizationServer(settings, clients, accounts, passwords, tokens, grants, sessions, throttle, security)
    return Services(
        settings=settings,
        connections=connections,
        temporal=temporal,
        tokens=tokens,
        passwords=passwords,
        accounts=accounts,
        catalog=Catalog(engine),
        catalog_desk=CatalogDesk(ProductPages(engine), ProductEdits(engine), Taxonomy(engine), ProductImports(engine)),
        cart_desk=_cart_desk(connections, line),
        search_desk=_search_desk(connections),
        stock=Stock(engine),
        vouchers=Vouchers(engine),
        orders=OrderStore(engine),
        checkouts=Turnstile(settings.checkouts_at_once),
        idempotency=_idempotency_keys(connections),
        receipts=WebhookReceipts(engine),
        authorization=build_authorization_server(server),
        grants=grants,
        browser=Browser(settings),
        external_sign_in=ExternalSignIn(settings, accounts, ExternalIdentities(engine)),
        security=security,
        sessions=sessions,
        clients=clients,
        api_keys=ApiKeys(engine),
        rates=RateCounter(line),
        throttle=throttle,
        account_mails=AccountMails(temporal, WaitingMails(engine)),
        email_tokens=EmailTokens(engine),
        addresses=AddressBook(engine),
    )


def _search_desk(connections: Connections) -> SearchDesk:
    settings, server = connections.settings, connections.elasticsearch
    stuck_after = timedelta(hours=settings.stuck_after_hours)
    return SearchDesk(
        products=ProductSearch(server, f"{settings.name_prefix}{ALIAS}"),
        orders=OrderSearch(server, connections.engine, f"{settings.name_prefix}{ORDERS_ALIAS}", stuck_after),
        threads=SearchThreads(),
    )


def _idempotency_keys(connections: Connections) -> IdempotencyKeys:
    settings = connections.settings
    # A little longer than the longest checkout, so that only the key of a dead request is taken over.
    lock_seconds = settings.checkout_answer_seconds + 35
    return IdempotencyKeys(connections.engine, lock_seconds, settings.idempotency_hours)


def _cart_desk(connections: Connections, line: RedisPipeline) -> CartDesk:
    settings, catalog, stock = connections.settings, Catalog(connections.engine), Stock(connections.engine)
    redis_url, topic = settings.redis_url.get_secret_value(), f"{settings.name_prefix}{PRODUCTS_TOPIC}"
    trust = CacheEpoch(connections.mongo)
    store = CartStore(connections.mongo, connections.redis, trust, Lifetimes.of_days(settings))
    warm, offers = CachedCarts(line, trust, store), CartOffers(line, catalog, stock)
    tail = partial(TopicTail, settings.kafka_bootstrap, topic)
    return CartDesk(store, warm, offers, CartFeeds(redis_url, tail, trust, warm, offers), line)


def services_of(request: Request) -> Services:
    """The services of the app that serves this request."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found


async def services(request: Request) -> Services:
    """The same for FastAPI, which would send a plain function to another thread."""
    return services_of(request)


def _part(name: str) -> Callable[[Request], Awaitable[Any]]:
    # A coroutine, because FastAPI would send a plain function to another thread for this.
    take = attrgetter(name)

    async def part(request: Request) -> Any:
        return take(request.app.state.services)

    return part


All = Annotated[Services, Depends(services)]
AppSettings = Annotated[Settings, Depends(_part("settings"))]
AppConnections = Annotated[Connections, Depends(_part("connections"))]
Temporal = Annotated[Client, Depends(_part("temporal"))]
TokenService = Annotated[AccessTokens, Depends(_part("tokens"))]
PasswordService = Annotated[Passwords, Depends(_part("passwords"))]
AccountStore = Annotated[Accounts, Depends(_part("accounts"))]
CatalogStore = Annotated[Catalog, Depends(_part("catalog"))]
CatalogPages = Annotated[ProductPages, Depends(_part("catalog_desk.pages"))]
CatalogEdits = Annotated[ProductEdits, Depends(_part("catalog_desk.edits"))]
CatalogTaxonomy = Annotated[Taxonomy, Depends(_part("catalog_desk.shelves"))]
ImportStore = Annotated[ProductImports, Depends(_part("catalog_desk.imports"))]
Carts = Annotated[CartStore, Depends(_part("carts"))]
Feeds = Annotated[CartFeeds, Depends(_part("cart_desk.feeds"))]
Search = Annotated[ProductSearch, Depends(_part("search_desk.products"))]
OrdersFound = Annotated[OrderSearch, Depends(_part("search_desk.orders"))]
SearchPool = Annotated[SearchThreads, Depends(_part("search_desk.threads"))]
StockStore = Annotated[Stock, Depends(_part("stock"))]
VoucherStore = Annotated[Vouchers, Depends(_part("vouchers"))]
Orders = Annotated[OrderStore, Depends(_part("orders"))]
Keys = Annotated[IdempotencyKeys, Depends(_part("idempotency"))]
Flags = Annotated[FlaggedWebhooks, Depends(_part("flagged_webhooks"))]
PaymentLedger = Annotated[Ledger, Depends(_part("ledger"))]
CreditStore = Annotated[StoreCredit, Depends(_part("credit"))]
Receipts = Annotated[WebhookReceipts, Depends(_part("receipts"))]
Authorization = Annotated[AuthorizationServer, Depends(_part("authorization"))]
Security = Annotated[SecurityEvents, Depends(_part("security"))]
ClientStore = Annotated[OAuthClients, Depends(_part("clients"))]
ApiKeyStore = Annotated[ApiKeys, Depends(_part("api_keys"))]
SessionService = Annotated[Sessions, Depends(_part("sessions"))]
Throttle = Annotated[LoginThrottle, Depends(_part("throttle"))]
Addresses = Annotated[AddressBook, Depends(_part("addresses"))]
