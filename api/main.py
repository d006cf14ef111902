"""order-api: the HTTP API of the services this process is set to serve."""

import asyncio
import signal
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import FrameType
from typing import Any

import anyio
import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute

from adapters.connections import connect
from adapters.logs import configure_logging
from adapters.settings import Service, Settings, load_settings
from api.edge import EdgeHeaders
from api.errors import install_error_handlers, problems
from api.middleware import AccessLog, DeclaredBodyLimit
from api.rate_limits import rate_limited
from api.routes import (
    account_pages,
    addresses,
    administration,
    api_keys,
    authorize,
    backorders,
    cart_events,
    carts,
    checkouts,
    credit,
    disputes,
    emails,
    external_login,
    flagged_webhooks,
    health,
    metrics,
    oauth,
    oauth_clients,
    operator_answers,
    operator_tasks,
    order_addresses,
    order_decisions,
    order_operations,
    order_payments,
    orders,
    parcel_labels,
    parcel_resolutions,
    passwords,
    picking,
    product_exports,
    product_imports,
    product_search,
    products,
    quotes,
    reconciliation,
    refunds,
    stock,
    taxonomy,
    users,
    vouchers,
    webhooks,
)
from api.services import build_services
from api.tokens import AccessTokens, KeyRing
from temporal_clients.connection import connect_temporal

ROUTERS: dict[Service, tuple[APIRouter, ...]] = {
    "user": (
        users.router,
        emails.router,
        account_pages.router,
        passwords.router,
        addresses.router,
        api_keys.router,
        administration.router,
        oauth.router,
        authorize.router,
        oauth_clients.router,
        external_login.router,
    ),
    "catalog": (
        product_search.router,
        product_exports.router,
        product_imports.uploads,
        product_imports.router,
        products.router,
        taxonomy.router,
    ),
    "cart": (carts.router, carts.merging, cart_events.router),
    "order": (
        quotes.router,
        checkouts.router,
        order_addresses.router,
        order_decisions.router,
        backorders.router,
        order_payments.router,
        vouchers.router,
        orders.router,
        order_operations.router,
        operator_answers.router,
        operator_tasks.router,
        picking.router,
        parcel_labels.router,
        parcel_resolutions.router,
        refunds.router,
        disputes.router,
        flagged_webhooks.router,
        stock.router,
        reconciliation.router,
        webhooks.router_of_carrier,
    ),
    "payment": (webhooks.router_of_provider, credit.router),
    "notification": (),
}


IMPORT_PATH = "/v1/products:import"
_STARTUP_FAILED = 3  # as uvicorn's own command ends

# Tokens travel in a header and never by themselves, so there is nothing for a page to use without having it.
_CORS: dict[str, Any] = {
    "allow_methods": ["GET", "POST", "PUT", "PATCH", "DELETE"],
    "allow_headers": [
        *("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match"),
        *("Last-Event-ID", "X-Cart-Token"),
    ],
    "expose_headers": ["ETag", "Location", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id"],
}


class _Api(FastAPI):
    """Documents the whole API, whichever services this process serves: clients see one, behind one gateway."""

    _whole: FastAPI | None = None

    def openapi(self) -> dict[str, Any]:
        settings: Settings = self.state.settings
        if settings.services == ROUTERS.keys():
            return super().openapi()
        if self._whole is None:
            self._whole = create_app(settings.model_copy(update={"services": frozenset(ROUTERS)}))
        return self._whole.openapi()


def create_app(settings: Settings) -> FastAPI:
    """The app; stores are opened when it starts and closed when it stops."""
    app = _Api(
        title="Order engine",
        summary="A commerce API; every order is a durable workflow.",
        version="0.1.0",
        lifespan=_lifespan,
        generate_unique_id_function=_operation_id,
        responses=problems(422),
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.stopping = threading.Event()
    install_error_handlers(app)
    limits = {IMPORT_PATH: settings.max_import_bytes}
    app.add_middleware(DeclaredBodyLimit, limit=settings.max_body_bytes, limits=limits)
    app.add_middleware(AccessLog)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origins, **_CORS)
    app.add_middleware(EdgeHeaders, settings=settings)
    served = [router for service in sorted(settings.services) for router in ROUTERS[service]]
    for router in (health.router, metrics.router, *served):
        # Not on the app as a whole: there it would turn the problem of an announced body into plain text.
        limit = settings.max_import_bytes if router is product_imports.uploads else settings.max_body_bytes
        app.include_router(router, dependencies=[rate_limited], max_body_size=limit)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    keys = KeyRing(settings.auth_keys_dir)
    # One made here would be unknown to the other hosts, so an API without keys does not start.
    _ = keys.signing_key
    tokens = AccessTokens(keys, settings)
    # What the loop takes by itself is six on two processors: too few while a store does not answer.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(16, thread_name_prefix="store"))
    # Routes that wait for a store take a thread of this limit each, so none waits for a connection.
    anyio.to_thread.current_default_thread_limiter().total_tokens = settings.api_threads
    with connect(settings, pool_size=settings.api_threads) as connections:
        # Lazy, so that the API starts and serves reads without Temporal.
        client = await connect_temporal(settings, lazy=True)
        app.state.services = services = build_services(connections, client, tokens)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(services.redis.close)
            if "cart" in settings.services:
                await stack.enter_async_context(services.carts.feeds.running(app.state.stopping))
            yield


def main() -> None:
    """The console script."""
    settings = load_settings()
    configure_logging(settings)
    # uvicorn ends its requests first and then raises the signal it was sent again: being asked to stop is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.graceful_shutdown_seconds,
    )
    server = _Server(config, app.state.stopping)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(_STARTUP_FAILED)


class _Server(uvicorn.Server):
    """Lets long requests, streams and imports, know that the process has been asked to stop."""

    def __init__(self, config: uvicorn.Config, stopping: threading.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping.set()
        super().handle_exit(sig, frame)


def _operation_id(route: APIRoute) -> str:
    return route.name


if __name__ == "__main__":
    main()
