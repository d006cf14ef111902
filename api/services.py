"""What one API process is made of, put together once when it starts and grouped by area. Routes ask for single parts
of it, by the types in `deps.py`.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from prometheus_client import CollectorRegistry
from temporalio.client import Client

from adapters.carts.cached import CachedCarts
from adapters.carts.documents import Lifetimes
from adapters.carts.epoch import CacheEpoch
from adapters.carts.offers import CartOffers
from adapters.carts.store import CartStore
from adapters.connections import Connections
from adapters.mysql.catalog.edits import ProductEdits
from adapters.mysql.catalog.imports import ProductImports
from adapters.mysql.catalog.pages import ProductPages
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.catalog.taxonomy import Taxonomy
from adapters.mysql.idempotency import IdempotencyKeys
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.picking import Picks
from adapters.mysql.orders.promises import Promises
from adapters.mysql.orders.stock import Stock
from adapters.mysql.orders.stock_reconciliations import StockReconciliations
from adapters.mysql.orders.vouchers import Vouchers
from adapters.mysql.payments.amounts_due import AmountsDue
from adapters.mysql.payments.credit import StoreCredit
from adapters.mysql.payments.differences import PaymentDifferences
from adapters.mysql.payments.disputes import Disputes
from adapters.mysql.payments.flagged_webhooks import FlaggedWebhooks
from adapters.mysql.payments.ledger import Ledger
from adapters.mysql.payments.refunds import Refunds
from adapters.mysql.schedule_runs import ScheduleRuns
from adapters.mysql.webhooks import WebhookReceipts
from adapters.rate_counter import RateCounter
from adapters.redis_pipeline import RedisPipeline
from adapters.search.orders import ORDERS_ALIAS, OrderSearch
from adapters.search.products import ALIAS, ProductSearch
from adapters.settings import Settings
from adapters.topic_tail import TopicTail
from api.cart_feeds import CartFeeds
from api.cart_prices import CartPrices
from api.checkout_answers import CheckoutAnswers
from api.concurrency_limit import ConcurrencyLimit
from api.identity_services import IdentityServices, build_identity
from api.metrics import build_metrics
from api.order_placement import OrderPlacement
from api.quotes import Quotes
from api.search_threads import SearchThreads
from api.tokens import AccessTokens
from schemas.events import PRODUCTS_TOPIC
from temporal_clients.catalog import CatalogClient
from temporal_clients.checkouts import CheckoutClient
from temporal_clients.operator_answers import OperatorAnswers
from temporal_clients.orders import CarrierEvents, PickClient, RunningOrders
from temporal_clients.parcel_resolutions import ParcelResolutionClient
from temporal_clients.payments import DisputeClient, PaymentRepairClient, RefundClient
from temporal_clients.provider_events import ProviderEvents


@dataclass(frozen=True)
class CatalogServices:
    """Products and how they are found."""

    catalog: Catalog
    pages: ProductPages
    edits: ProductEdits
    taxonomy: Taxonomy
    imports: ProductImports
    search: ProductSearch
    client: CatalogClient


@dataclass(frozen=True)
class CartServices:
    """Carts, their prices and their live streams."""

    store: CartStore
    cached: CachedCarts
    offers: CartOffers
    feeds: CartFeeds
    prices: CartPrices


@dataclass(frozen=True)
class OrderServices:
    """Orders from the checkout on, stock and vouchers."""

    orders: OrderStore
    search: OrderSearch
    tasks: OperatorTaskStore
    promises: Promises
    picks: Picks
    picking: PickClient
    stock: Stock
    running: RunningOrders
    stock_reconciliations: StockReconciliations
    vouchers: Vouchers
    placement: OrderPlacement
    answers: CheckoutAnswers
    checkouts: CheckoutClient
    many_answers: OperatorAnswers
    resolutions: ParcelResolutionClient
    carrier_events: CarrierEvents


@dataclass(frozen=True)
class PaymentServices:
    """Money: its ledger, and what staff does about it."""

    credit: StoreCredit
    refunds: Refunds
    disputes: Disputes
    differences: PaymentDifferences
    flagged: FlaggedWebhooks
    provider_events: ProviderEvents
    refund_client: RefundClient
    dispute_client: DisputeClient
    repair_client: PaymentRepairClient


@dataclass(frozen=True)
class Services:
    """Everything a request may need."""

    settings: Settings
    connections: Connections
    temporal: Client
    redis: RedisPipeline
    rates: RateCounter
    idempotency: IdempotencyKeys
    receipts: WebhookReceipts
    search_threads: SearchThreads
    metrics: CollectorRegistry
    identity: IdentityServices
    catalog: CatalogServices
    carts: CartServices
    orders: OrderServices
    payments: PaymentServices


def build_services(connections: Connections, temporal: Client, tokens: AccessTokens) -> Services:
    """Put the process together."""
    settings = connections.settings
    redis = RedisPipeline(settings.redis_address)
    carts = _carts(connections, redis)
    return Services(
        settings=settings,
        connections=connections,
        temporal=temporal,
        redis=redis,
        rates=RateCounter(redis),
        idempotency=_idempotency_keys(connections),
        receipts=WebhookReceipts(connections.engine),
        search_threads=SearchThreads(),
        metrics=_metrics(connections),
        identity=build_identity(connections, temporal, tokens, redis, carts.store),
        catalog=_catalog(connections, temporal),
        carts=carts,
        orders=_orders(connections, temporal, carts.prices),
        payments=_payments(connections, temporal),
    )


def _catalog(connections: Connections, temporal: Client) -> CatalogServices:
    engine = connections.engine
    return CatalogServices(
        catalog=Catalog(engine),
        pages=ProductPages(engine),
        edits=ProductEdits(engine),
        taxonomy=Taxonomy(engine),
        imports=ProductImports(engine),
        search=ProductSearch(connections.elasticsearch, f"{connections.settings.name_prefix}{ALIAS}"),
        client=CatalogClient(temporal),
    )


def _carts(connections: Connections, redis: RedisPipeline) -> CartServices:
    settings, engine = connections.settings, connections.engine
    catalog, stock, epoch = Catalog(engine), Stock(engine), CacheEpoch(connections.mongo)
    redis_url, topic = settings.redis_address, f"{settings.name_prefix}{PRODUCTS_TOPIC}"
    store = CartStore(connections.mongo, connections.redis, epoch, Lifetimes.of_days(settings))
    cached, offers = CachedCarts(redis, epoch, store), CartOffers(redis, catalog, stock)
    tail = partial(TopicTail, settings, topic)
    feeds = CartFeeds(redis_url, tail, epoch, cached, offers)
    prices = CartPrices(store, catalog, stock, Vouchers(engine), Quotes(settings))
    return CartServices(store, cached, offers, feeds, prices)


def _orders(connections: Connections, temporal: Client, prices: CartPrices) -> OrderServices:
    settings, engine = connections.settings, connections.engine
    orders, stock, tasks = OrderStore(engine), Stock(engine), OperatorTaskStore(engine)
    checkouts = CheckoutClient(temporal, settings.checkout_answer_seconds)
    answers, limit = CheckoutAnswers(orders, prices), ConcurrencyLimit(settings.checkouts_at_once)
    index, stuck_after = f"{settings.name_prefix}{ORDERS_ALIAS}", timedelta(hours=settings.stuck_after_hours)
    return OrderServices(
        orders=orders,
        search=OrderSearch(connections.elasticsearch, engine, index, stuck_after),
        tasks=tasks,
        promises=Promises(engine, timedelta(days=settings.backorder_days)),
        picks=Picks(engine),
        picking=PickClient(temporal, settings.checkout_answer_seconds),
        stock=stock,
        running=RunningOrders(temporal),
        stock_reconciliations=StockReconciliations(engine),
        vouchers=Vouchers(engine),
        placement=OrderPlacement(settings, orders, stock, StoreCredit(engine), prices, answers, checkouts, limit),
        answers=answers,
        checkouts=checkouts,
        many_answers=OperatorAnswers(checkouts, orders, tasks, settings.checkout_answer_seconds),
        resolutions=ParcelResolutionClient(temporal, settings.checkout_answer_seconds),
        carrier_events=CarrierEvents(temporal),
    )


def _payments(connections: Connections, temporal: Client) -> PaymentServices:
    settings, engine, patience = connections.settings, connections.engine, connections.settings.checkout_answer_seconds
    flagged, disputes = FlaggedWebhooks(engine), DisputeClient(temporal, patience)
    return PaymentServices(
        credit=StoreCredit(engine),
        refunds=Refunds(engine),
        disputes=Disputes(engine),
        differences=PaymentDifferences(engine, settings.reconciliation_grace),
        flagged=flagged,
        provider_events=ProviderEvents(settings, temporal, disputes, Ledger(engine), flagged),
        refund_client=RefundClient(temporal, patience),
        dispute_client=disputes,
        repair_client=PaymentRepairClient(temporal, patience),
    )


def _metrics(connections: Connections) -> CollectorRegistry:
    engine = connections.engine
    return build_metrics(OperatorTaskStore(engine), AmountsDue(engine), ScheduleRuns(engine))


def _idempotency_keys(connections: Connections) -> IdempotencyKeys:
    settings = connections.settings
    # A little longer than the longest checkout, so that only the key of a dead request is taken over.
    lock_seconds = settings.checkout_answer_seconds + 35
    return IdempotencyKeys(connections.engine, lock_seconds, settings.idempotency_hours)
