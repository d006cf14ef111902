"""order-api: the HTTP API of the services this process is told to serve."""

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute

from adapters.connections import connect
from adapters.keys import ensure_signing_key
from adapters.logs import configure_logging
from adapters.settings import Service, Settings, load_settings
from api.deps import build_services
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
    carts,
    checkouts,
    emails,
    external_login,
    health,
    oauth,
    oauth_clients,
    orders,
    passwords,
    products,
    stock,
    users,
    webhooks,
)
from api.tokens import AccessTokens, KeyRing
from workflows.connection import connect_temporal

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
    "catalog": (products.router,),
    "cart": (carts.router,),
    "order": (checkouts.router, orders.router, stock.router, webhooks.router_of_carrier),
    "payment": (webhooks.router_of_provider,),
    "notification": (),
}


# Tokens travel in a header and never by themselves, so there is nothing for a page to use without having it.
_CORS: dict[str, Any] = {
    "allow_methods": ["GET", "POST", "PUT", "PATCH", "DELETE"],
    "allow_headers": ["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-Cart-Token"],
    "expose_headers": ["ETag", "Location", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id"],
}


def create_app(settings: Settings) -> FastAPI:
    """The app; stores are opened when it starts and closed when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        ensure_signing_key(settings.auth_keys_dir)
        tokens = AccessTokens(KeyRing(settings.auth_keys_dir), settings)
        with connect(settings) as connections:
            # Lazy, so that the API starts and serves reads without Temporal.
            client = await connect_temporal(settings.temporal_address, settings.temporal_namespace, lazy=True)
            app.state.services = build_services(connections, client, tokens)
            yield

    app = FastAPI(
        title="Order engine",
        summary="A shop whose every order is a durable workflow.",
        version="0.1.0",
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        responses=problems(422),
        redirect_slashes=False,
    )
    app.state.settings = settings
    install_error_handlers(app)
    app.add_middleware(DeclaredBodyLimit, limit=settings.max_body_bytes)
    app.add_middleware(AccessLog)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origins, **_CORS)
    app.add_middleware(EdgeHeaders, settings=settings)
    served = [router for service in sorted(settings.services) for router in ROUTERS[service]]
    for router in (health.router, *served):
        # Not on the app as a whole: there it would turn the problem of an announced body into plain text.
        app.include_router(router, dependencies=[rate_limited], max_body_size=settings.max_body_bytes)
    return app


def main() -> None:
    """The console script."""
    settings = load_settings()
    configure_logging(settings)
    # uvicorn ends its requests first and then raises the signal it was sent again: being asked to end is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        create_app(settings),
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.graceful_shutdown_seconds,
    )


def _operation_id(route: APIRoute) -> str:
    return route.name


if __name__ == "__main__":
    main()
