"""What routes ask for by type. Each is a look-up of one part of this process, see `services.py`."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry
from temporalio.client import Client

from adapters.carts.cached import CachedCarts
from adapters.carts.offers import CartOffers
from adapters.carts.store import CartStore
from adapters.connections import Connections
from adapters.mysql.catalog.edits import ProductEdits
from adapters.mysql.catalog.imports import ProductImports
from adapters.mysql.catalog.pages import ProductPages
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.catalog.taxonomy import Taxonomy
from adapters.mysql.idempotency import IdempotencyKeys
from adapters.mysql.identity.addresses import AddressBook
from adapters.mysql.identity.api_keys import ApiKeys
from adapters.mysql.identity.oauth_clients import OAuthClients
from adapters.mysql.identity.security_events import SecurityEvents
from adapters.mysql.identity.users import Accounts
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.picking import Picks
from adapters.mysql.orders.promises import Promises
from adapters.mysql.orders.stock import Stock
from adapters.mysql.orders.stock_reconciliations import StockReconciliations
from adapters.mysql.orders.vouchers import Vouchers
from adapters.mysql.payments.credit import StoreCredit
from adapters.mysql.payments.differences import PaymentDifferences
from adapters.mysql.payments.disputes import Disputes
from adapters.mysql.payments.flagged_webhooks import FlaggedWebhooks
from adapters.mysql.payments.refunds import Refunds
from adapters.mysql.webhooks import WebhookReceipts
from adapters.rate_counter import RateCounter
from adapters.search.orders import OrderSearch
from adapters.search.products import ProductSearch
from adapters.settings import Settings
from api.account_changes import AccountChanges
from api.authentication import Authenticator
from api.cart_feeds import CartFeeds
from api.cart_prices import CartPrices
from api.checkout_answers import CheckoutAnswers
from api.client_address import client_address
from api.oauth.browser import Browser
from api.oauth.consent import Authorization
from api.oauth.external import ExternalSignIn
from api.oauth.server import AuthorizationServer
from api.order_placement import OrderPlacement
from api.search_threads import SearchThreads
from api.services import Services
from api.sessions import Sessions
from api.tokens import AccessTokens
from temporal_clients.account_mails import AccountMails
from temporal_clients.catalog import CatalogClient
from temporal_clients.checkouts import CheckoutClient
from temporal_clients.operator_answers import OperatorAnswers
from temporal_clients.orders import CarrierEvents, PickClient, RunningOrders
from temporal_clients.parcel_resolutions import ParcelResolutionClient
from temporal_clients.payments import DisputeClient, PaymentRepairClient, RefundClient
from temporal_clients.provider_events import ProviderEvents

T = TypeVar("T")


def _part(of: Callable[[Services], T]) -> Callable[[Request], Awaitable[T]]:
    # A coroutine, because FastAPI would send a plain function to another thread for this.
    async def part(request: Request) -> T:
        return of(request.app.state.services)

    return part


async def _client_address(request: Request) -> str:
    return client_address(request)


AppSettings = Annotated[Settings, Depends(_part(lambda app: app.settings))]
AppConnections = Annotated[Connections, Depends(_part(lambda app: app.connections))]
Temporal = Annotated[Client, Depends(_part(lambda app: app.temporal))]
Rates = Annotated[RateCounter, Depends(_part(lambda app: app.rates))]
Keys = Annotated[IdempotencyKeys, Depends(_part(lambda app: app.idempotency))]
Receipts = Annotated[WebhookReceipts, Depends(_part(lambda app: app.receipts))]
SearchPool = Annotated[SearchThreads, Depends(_part(lambda app: app.search_threads))]
MetricsRegistry = Annotated[CollectorRegistry, Depends(_part(lambda app: app.metrics))]
ClientAddress = Annotated[str, Depends(_client_address)]

AccountStore = Annotated[Accounts, Depends(_part(lambda app: app.identity.accounts))]
Addresses = Annotated[AddressBook, Depends(_part(lambda app: app.identity.addresses))]
Changes = Annotated[AccountChanges, Depends(_part(lambda app: app.identity.changes))]
Mails = Annotated[AccountMails, Depends(_part(lambda app: app.identity.mails))]
TokenService = Annotated[AccessTokens, Depends(_part(lambda app: app.identity.tokens))]
SessionService = Annotated[Sessions, Depends(_part(lambda app: app.identity.sessions))]
ApiKeyStore = Annotated[ApiKeys, Depends(_part(lambda app: app.identity.api_keys))]
RequestAuthenticator = Annotated[Authenticator, Depends(_part(lambda app: app.identity.authenticator))]
Security = Annotated[SecurityEvents, Depends(_part(lambda app: app.identity.security))]
ClientStore = Annotated[OAuthClients, Depends(_part(lambda app: app.identity.clients))]
OAuthServer = Annotated[AuthorizationServer, Depends(_part(lambda app: app.identity.server))]
AuthorizationPages = Annotated[Authorization, Depends(_part(lambda app: app.identity.authorization))]
SignInBrowser = Annotated[Browser, Depends(_part(lambda app: app.identity.browser))]
ExternalProviders = Annotated[ExternalSignIn, Depends(_part(lambda app: app.identity.external_sign_in))]

CatalogStore = Annotated[Catalog, Depends(_part(lambda app: app.catalog.catalog))]
CatalogPages = Annotated[ProductPages, Depends(_part(lambda app: app.catalog.pages))]
CatalogEdits = Annotated[ProductEdits, Depends(_part(lambda app: app.catalog.edits))]
CatalogTaxonomy = Annotated[Taxonomy, Depends(_part(lambda app: app.catalog.taxonomy))]
CatalogWorkflows = Annotated[CatalogClient, Depends(_part(lambda app: app.catalog.client))]
ImportStore = Annotated[ProductImports, Depends(_part(lambda app: app.catalog.imports))]
Search = Annotated[ProductSearch, Depends(_part(lambda app: app.catalog.search))]

Carts = Annotated[CartStore, Depends(_part(lambda app: app.carts.store))]
CartCopies = Annotated[CachedCarts, Depends(_part(lambda app: app.carts.cached))]
Offers = Annotated[CartOffers, Depends(_part(lambda app: app.carts.offers))]
Feeds = Annotated[CartFeeds, Depends(_part(lambda app: app.carts.feeds))]
Prices = Annotated[CartPrices, Depends(_part(lambda app: app.carts.prices))]

Orders = Annotated[OrderStore, Depends(_part(lambda app: app.orders.orders))]
OrdersFound = Annotated[OrderSearch, Depends(_part(lambda app: app.orders.search))]
BackorderPromises = Annotated[Promises, Depends(_part(lambda app: app.orders.promises))]
ManyAnswers = Annotated[OperatorAnswers, Depends(_part(lambda app: app.orders.many_answers))]
OperatorTasks = Annotated[OperatorTaskStore, Depends(_part(lambda app: app.orders.tasks))]
PickStore = Annotated[Picks, Depends(_part(lambda app: app.orders.picks))]
Picking = Annotated[PickClient, Depends(_part(lambda app: app.orders.picking))]
StockStore = Annotated[Stock, Depends(_part(lambda app: app.orders.stock))]
StockReconciliationStore = Annotated[StockReconciliations, Depends(_part(lambda app: app.orders.stock_reconciliations))]
VoucherStore = Annotated[Vouchers, Depends(_part(lambda app: app.orders.vouchers))]
Running = Annotated[RunningOrders, Depends(_part(lambda app: app.orders.running))]
Placement = Annotated[OrderPlacement, Depends(_part(lambda app: app.orders.placement))]
Answers = Annotated[CheckoutAnswers, Depends(_part(lambda app: app.orders.answers))]
Checkouts = Annotated[CheckoutClient, Depends(_part(lambda app: app.orders.checkouts))]
ParcelResolutionWorkflows = Annotated[ParcelResolutionClient, Depends(_part(lambda app: app.orders.resolutions))]
CarrierWebhooks = Annotated[CarrierEvents, Depends(_part(lambda app: app.orders.carrier_events))]

CreditStore = Annotated[StoreCredit, Depends(_part(lambda app: app.payments.credit))]
RefundStore = Annotated[Refunds, Depends(_part(lambda app: app.payments.refunds))]
RefundWorkflows = Annotated[RefundClient, Depends(_part(lambda app: app.payments.refund_client))]
DisputeStore = Annotated[Disputes, Depends(_part(lambda app: app.payments.disputes))]
DisputeWorkflows = Annotated[DisputeClient, Depends(_part(lambda app: app.payments.dispute_client))]
DifferenceStore = Annotated[PaymentDifferences, Depends(_part(lambda app: app.payments.differences))]
RepairWorkflows = Annotated[PaymentRepairClient, Depends(_part(lambda app: app.payments.repair_client))]
Flagged = Annotated[FlaggedWebhooks, Depends(_part(lambda app: app.payments.flagged))]
ProviderWebhooks = Annotated[ProviderEvents, Depends(_part(lambda app: app.payments.provider_events))]
