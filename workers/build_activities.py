"""Who does what: every queue's activities, their adapters given in."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from temporalio.client import Client

from activities.account_mails import AccountMailActivities
from activities.cart_reminders import CartReminderActivities
from activities.carts import CartActivities
from activities.catalog import CatalogActivities
from activities.credit import CreditActivities
from activities.disputes import DisputeActivities
from activities.fulfilment import FulfilmentActivities
from activities.notifications import NotificationActivities
from activities.operator_tasks import OperatorTaskActivities
from activities.order_sweep import OrderSweepActivities
from activities.orders import OrderActivities
from activities.parcel_resolutions import ParcelResolutionActivities
from activities.payment_reconciliation import PaymentReconciliationActivities
from activities.payment_repair import PaymentRepairActivities
from activities.payments import PaymentActivities
from activities.refunds import RefundActivities
from activities.retention import RetentionActivities
from activities.schedule_runs import ScheduleRunActivities
from activities.search import SearchActivities
from activities.stock import StockActivities
from activities.stock_upkeep import StockUpkeepActivities
from adapters.carrier import Carrier
from adapters.carts.documents import Lifetimes
from adapters.carts.store import CartStore
from adapters.connections import Connections
from adapters.mail.account_texts import lifetime
from adapters.mail.mailer import Mailer
from adapters.mysql.catalog.price_changes import PriceChanges
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.catalog.sales import ProductSales
from adapters.mysql.catalog.taxonomy_changes import TaxonomyChanges
from adapters.mysql.identity.account_mails import WaitingMails
from adapters.mysql.identity.email_tokens import EmailTokens
from adapters.mysql.identity.users import Accounts
from adapters.mysql.notifications import SentNotifications
from adapters.mysql.orders.fulfilment import Parcels
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.parcel_resolutions import ParcelResolutions
from adapters.mysql.orders.picking import Picks
from adapters.mysql.orders.prices import OrderPrices
from adapters.mysql.orders.reservations import Reservations
from adapters.mysql.orders.stock_reconciliations import StockReconciliations
from adapters.mysql.orders.sweeping import UnfinishedOrders
from adapters.mysql.orders.vouchers import Vouchers
from adapters.mysql.payments.credit import StoreCredit
from adapters.mysql.payments.differences import PaymentDifferences
from adapters.mysql.payments.disputes import Disputes
from adapters.mysql.payments.facts import PaymentFactsReader
from adapters.mysql.payments.ledger import Ledger
from adapters.mysql.payments.refunds import Refunds
from adapters.mysql.retention import Purges
from adapters.mysql.schedule_runs import ScheduleRuns
from adapters.payments.disputes import DisputeProvider
from adapters.payments.listing import PaymentListing
from adapters.payments.provider import PaymentProvider
from adapters.search.feeds import order_feed, product_feed
from adapters.settings import Settings
from domain.retention import retention_days
from schemas.account_mails import WITH_LINK
from temporal_clients.account_mails import MailClient
from temporal_clients.orders import RunningOrders
from workers.build_watchdog import staff_mail, watchdog_activities
from workflows.names import CATALOG_QUEUE, FULFILMENT_QUEUE, NOTIFICATIONS_QUEUE, ORDERS_QUEUE, PAYMENTS_QUEUE

# The activities of every queue, their adapters given in.
ActivitiesByQueue = dict[str, list[Callable[..., Any]]]


def build_activities(connections: Connections, client: Client) -> ActivitiesByQueue:
    """Give every activity class its adapters."""
    engine, settings = connections.engine, connections.settings
    term = timedelta(hours=settings.reservation_hours)
    reservations = Reservations(engine, term)
    carts = CartStore(connections.mongo, connections.redis, lifetimes=Lifetimes.of_days(settings))
    activities = {
        ORDERS_QUEUE: [
            *_orders(OrderStore(engine, term, timedelta(days=settings.backorder_days)), engine),
            *_stock(reservations, engine, client),
            *_sweep(engine, client),
            *watchdog_activities(engine, settings, client),
            *_resolutions(engine, term),
            *_retention(engine, settings),
            CartActivities(carts, OrderStore(engine)).complete_cart,
        ],
        PAYMENTS_QUEUE: [*_money(engine, settings), *_reconciliation_activities(engine, settings, client)],
        FULFILMENT_QUEUE: _parcels(reservations, engine, settings),
        NOTIFICATIONS_QUEUE: [*_mails(connections, client, carts), staff_mail(engine, settings)],
        CATALOG_QUEUE: [*_catalog(engine, settings), *_search(connections)],
    }
    tasks = OperatorTaskActivities(OperatorTaskStore(engine))
    runs = ScheduleRunActivities(ScheduleRuns(engine))
    # Any workflow may need an operator, and any queue may have scheduled ones.
    everywhere: list[Callable[..., Any]] = [tasks.record_operator_tasks, runs.record_schedule_run]
    return {queue: [*served, *everywhere] for queue, served in activities.items()}


def _orders(store: OrderStore, engine: sa.Engine) -> list[Callable[..., Any]]:
    orders = OrderActivities(store, OrderPrices(Catalog(engine), Vouchers(engine)))
    return [
        orders.price_order,
        orders.place_order,
        orders.adopt_order,
        orders.take_available,
        orders.change_address,
        orders.record_status,
    ]


def _stock(reservations: Reservations, engine: sa.Engine, client: Client) -> list[Callable[..., Any]]:
    stock = StockActivities(reservations)
    upkeep = StockUpkeepActivities(reservations, StockReconciliations(engine), RunningOrders(client))
    return [stock.release_stock, stock.extend_reservation, upkeep.expire_reservations, upkeep.reconcile_stock]


def _sweep(engine: sa.Engine, client: Client) -> list[Callable[..., Any]]:
    sweep = OrderSweepActivities(UnfinishedOrders(engine), OperatorTaskStore(engine), RunningOrders(client))
    return [sweep.is_running, sweep.sweep_orders]


def _resolutions(engine: sa.Engine, reserved_for: timedelta) -> list[Callable[..., Any]]:
    resolutions = ParcelResolutionActivities(ParcelResolutions(engine, reserved_for))
    return [
        resolutions.open_resolution,
        resolutions.replace_parcel,
        resolutions.withdraw_resolution,
        resolutions.close_resolution,
    ]


def _retention(engine: sa.Engine, settings: Settings) -> list[Callable[..., Any]]:
    retention = RetentionActivities(Purges(engine), retention_days(settings.retention_days))
    return [retention.read_retention, retention.purge_rows]


def _parcels(reservations: Reservations, engine: sa.Engine, settings: Settings) -> list[Callable[..., Any]]:
    stock = StockActivities(reservations)
    store = Parcels(engine, settings.refund_undelivered_after)
    parcels = FulfilmentActivities(Carrier(settings), store, Picks(engine))
    return [
        stock.check_allocation,
        stock.release_stock,
        parcels.book_shipment,
        parcels.cancel_shipment,
        parcels.retrieve_shipment,
        parcels.record_parcel,
        parcels.read_parcel,
        parcels.reduce_parcel,
        parcels.record_pick,
    ]


def _catalog(engine: sa.Engine, settings: Settings) -> list[Callable[..., Any]]:
    sales = ProductSales(engine, timedelta(days=settings.popularity_days))
    catalog = CatalogActivities(PriceChanges(engine), TaxonomyChanges(engine), sales)
    return [catalog.announce_price_changes, catalog.announce_taxonomy_changes, catalog.count_sales]


def _money(engine: sa.Engine, settings: Settings) -> list[Callable[..., Any]]:
    provider, credit = PaymentProvider(settings), CreditActivities(StoreCredit(engine))
    payments, refunds = PaymentActivities(provider, Ledger(engine)), RefundActivities(provider, Refunds(engine))
    disputes = DisputeActivities(DisputeProvider(settings), Disputes(engine))
    return [
        payments.authorize_payment,
        payments.retrieve_payment,
        payments.abandon_payment,
        payments.capture_payment,
        payments.void_payment,
        payments.record_payment,
        payments.record_decline,
        credit.authorize_credit,
        credit.capture_credit,
        credit.void_credit,
        refunds.open_refund,
        refunds.refund_payment,
        refunds.retrieve_refund,
        refunds.settle_refund,
        refunds.reverse_refund,
        disputes.retrieve_dispute,
        disputes.record_dispute,
        disputes.submit_evidence,
        disputes.accept_dispute,
        disputes.note_dispute_action,
    ]


def _reconciliation_activities(engine: sa.Engine, settings: Settings, client: Client) -> list[Callable[..., Any]]:
    facts = PaymentFactsReader(engine)
    differences = PaymentDifferences(engine, settings.reconciliation_grace)
    look_back = timedelta(days=settings.reconciliation_days)
    reconciliation = PaymentReconciliationActivities(
        PaymentListing(settings), facts, differences, RunningOrders(client), look_back
    )
    repair = PaymentRepairActivities(facts, differences)
    return [
        reconciliation.examine_payments,
        reconciliation.reconcile_payments,
        reconciliation.finish_reconciliation,
        repair.catch_up_ledger,
        repair.correct_payment_status,
        repair.decide_difference,
        repair.settle_difference,
        repair.close_returned,
    ]


def _mails(connections: Connections, client: Client, carts: CartStore) -> list[Callable[..., Any]]:
    engine, settings = connections.engine, connections.settings
    orders = NotificationActivities(OrderStore(engine), SentNotifications(engine), Mailer(settings))
    accounts, reminders = _account_mail(engine, settings), _cart_reminders(carts, connections, client)
    return [orders.send_mail, accounts.send_account_mail, reminders.remind_of_carts]


def _search(connections: Connections) -> list[Callable[..., Any]]:
    engine, elasticsearch, prefix = connections.engine, connections.elasticsearch, connections.settings.name_prefix
    search = SearchActivities(
        {
            "products": product_feed(engine, elasticsearch, prefix),
            "orders": order_feed(engine, elasticsearch, prefix),
        }
    )
    return [
        search.make_index,
        search.fill_index,
        search.verify_index,
        search.compact_index,
        search.switch_index,
        search.drop_index,
        search.drop_leftovers,
    ]


def _cart_reminders(carts: CartStore, connections: Connections, client: Client) -> CartReminderActivities:
    engine, patience = connections.engine, timedelta(hours=connections.settings.cart_reminder_hours)
    return CartReminderActivities(carts, Accounts(engine), WaitingMails(engine), MailClient(client), patience)


def _account_mail(engine: sa.Engine, settings: Settings) -> AccountMailActivities:
    lifetimes = {kind: lifetime(settings, kind) for kind in WITH_LINK}
    return AccountMailActivities(
        WaitingMails(engine), Accounts(engine), EmailTokens(engine), Mailer(settings), lifetimes
    )
