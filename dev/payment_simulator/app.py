"""Puts the payment simulator together: one table of routes over the operations."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI, Request
from fastapi.responses import Response

from dev.faults import Faults
from dev.outbox import Outbox
from dev.payment_simulator.bank import Bank
from dev.payment_simulator.control import control_router
from dev.payment_simulator.customers import Customers
from dev.payment_simulator.dispute_control import dispute_router
from dev.payment_simulator.disputes import Disputes
from dev.payment_simulator.errors import Answer, ApiError
from dev.payment_simulator.events import Call, Events, stripe_signature
from dev.payment_simulator.gateway import Gateway, Operation
from dev.payment_simulator.intents import Intents
from dev.payment_simulator.queries import Queries
from dev.payment_simulator.refunds import Refunds
from dev.payment_simulator.settings import Settings
from dev.payment_simulator.store import Store
from dev.payment_simulator.timers import Timers
from dev.service import RequestLog

Route = tuple[str, str, str, Operation]


def _routes(
    intents: Intents, refunds: Refunds, disputes: Disputes, customers: Customers, queries: Queries
) -> list[Route]:
    """Method, path, the operation's name for fault control, and what does it."""
    one, many = queries.one, queries.many
    return [
        ("POST", "/v1/payment_intents", "create", intents.create),
        ("GET", "/v1/payment_intents", "list", partial(many, "payment_intent")),
        ("GET", "/v1/payment_intents/search", "search", queries.search),
        ("GET", "/v1/payment_intents/{id}", "retrieve", intents.retrieve),
        ("POST", "/v1/payment_intents/{id}", "update", intents.update),
        ("POST", "/v1/payment_intents/{id}/confirm", "confirm", intents.confirm),
        ("POST", "/v1/payment_intents/{id}/capture", "capture", intents.capture),
        ("POST", "/v1/payment_intents/{id}/cancel", "cancel", intents.cancel),
        ("POST", "/v1/customers", "create_customer", customers.create),
        ("POST", "/v1/refunds", "refund", refunds.create),
        ("GET", "/v1/refunds", "list_refunds", partial(many, "refund")),
        ("GET", "/v1/refunds/{id}", "retrieve_refund", partial(one, "refund")),
        ("GET", "/v1/charges", "list_charges", partial(many, "charge")),
        ("GET", "/v1/charges/{id}", "retrieve_charge", partial(one, "charge")),
        ("GET", "/v1/disputes", "list_disputes", partial(many, "dispute")),
        ("GET", "/v1/disputes/{id}", "retrieve_dispute", partial(one, "dispute")),
        ("POST", "/v1/disputes/{id}", "update_dispute", disputes.update),
        ("POST", "/v1/disputes/{id}/close", "close_dispute", disputes.close),
        ("GET", "/v1/balance_transactions/{id}", "retrieve_balance", partial(one, "balance_transaction")),
        ("GET", "/v1/events", "list_events", partial(many, "event")),
        ("GET", "/v1/events/{id}", "retrieve_event", partial(one, "event")),
    ]


def create_app(settings: Settings) -> FastAPI:
    """One simulator with its own database, outbox and faults."""
    store = Store(settings.database)
    outbox = Outbox(
        store.database,
        settings.webhook_url,
        lambda _event_id, body: {"Stripe-Signature": stripe_signature(settings.webhook_secret, body)},
        "payment_simulator",
        settings.webhook_attempts,
    )
    faults, events = Faults(), Events(store, outbox)
    disputes = Disputes(store, events, settings.fees)
    bank = Bank(store, events, settings, disputes)
    timers = Timers(store, bank)
    queries = Queries(store, settings.search_lag_seconds)
    gateway = Gateway(store, faults, settings.api_key, queries)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(worker.run()) for worker in (outbox, timers)]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        store.database.close()

    app = FastAPI(title="Payment simulator", description="Stripe's wire API, for development.", lifespan=lifespan)
    app.add_middleware(RequestLog, service="payment_simulator")
    api = _routes(Intents(store, bank), Refunds(store, bank, disputes), disputes, Customers(store), queries)
    for method, path, name, operation in api:
        app.add_api_route(path, _endpoint(gateway, name, operation), methods=[method], name=name)
    app.include_router(control_router(store, bank, timers, events, outbox, faults))
    app.include_router(dispute_router(store, disputes))
    _add_fallbacks(app, gateway)
    return app


def _endpoint(gateway: Gateway, name: str, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await gateway.answer(request, name, operation)

    return endpoint


def _add_fallbacks(app: FastAPI, gateway: Gateway) -> None:
    """Health, and Stripe's own answer for an unknown address."""

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    def unknown(call: Call) -> Answer:
        raise ApiError(404, f"Unrecognized request URL ({call.path}). See https://stripe.com/docs.")

    app.add_api_route("/v1/{rest:path}", _endpoint(gateway, "unknown", unknown), methods=["GET", "POST", "DELETE"])
