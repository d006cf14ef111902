"""The contract as a document: every route named, guarded, described."""

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match

from adapters.settings import Settings
from api.main import ROUTERS, create_app
from api.permissions import PERMISSIONS, public
from tests.fixture_types import Json

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture(scope="module")
def operations(app: FastAPI) -> dict[str, Json]:
    found = {}
    for path, methods in app.openapi()["paths"].items():
        for method in METHODS & methods.keys():
            found[f"{method.upper()} {path}"] = methods[method]
    return found


def test_every_route_states_its_permission_or_that_it_is_public() -> None:
    routes = [route for routers in ROUTERS.values() for router in routers for route in router.routes]
    assert routes
    for route in routes:
        assert isinstance(route, APIRoute)
        stated = {one.dependency for one in route.dependencies}
        permissions = {one for dependency in stated for one in getattr(dependency, "permissions", ())}
        assert (public.dependency in stated) != bool(permissions), f"{route.path} states {permissions or 'nothing'}"
        assert permissions <= PERMISSIONS.keys()


def test_operations_have_stable_names(operations: dict[str, Json]) -> None:
    names = [operation["operationId"] for operation in operations.values()]
    assert len(names) == len(set(names))
    assert {"place_order", "read_order", "issue_token", "search_products", "set_cart_quantity"} <= set(names)


def test_every_operation_says_what_it_does(operations: dict[str, Json]) -> None:
    for name, operation in operations.items():
        assert operation.get("description"), f"{name} is not described"


def test_bodies_have_examples(operations: dict[str, Json]) -> None:
    for name in ("POST /v1/users", "POST /v1/checkouts", "PUT /v1/cart/items/{sku}"):
        (content,) = operations[name]["requestBody"]["content"].values()
        assert content["examples"], f"{name} has no example"


def test_refusals_are_problems(operations: dict[str, Json]) -> None:
    for name, operation in operations.items():
        refusals = {code: what for code, what in operation["responses"].items() if code[0] in "45"}
        for code, what in refusals.items():
            if name.startswith(("POST /oauth2", "GET /readyz")) and code != "422":
                continue  # RFC 6749 has its own words, readiness its own table
            assert list(what["content"]) == ["application/problem+json"], f"{name} {code}"


@pytest.mark.parametrize(
    ("services", "served", "not_served"),
    [
        ("cart", "/v1/cart", "/v1/orders"),
        ("order", "/v1/checkouts", "/v1/cart"),
        ("payment", "/v1/webhooks/stripe", "/v1/webhooks/carrier"),
    ],
)
def test_a_process_serves_only_the_services_it_is_set_to(
    settings: Settings, services: str, served: str, not_served: str
) -> None:
    alone = create_app(settings.model_copy(update={"services": frozenset({services})}))
    for path in (served, "/metrics", "/readyz"):
        assert is_served(alone, path), path
    assert not is_served(alone, not_served)


def is_served(app: FastAPI, path: str) -> bool:
    """Whether a route has this path, for one method or another."""
    scope = {"type": "http", "path": path, "method": "OPTIONS", "headers": []}
    return any(route.matches(scope)[0] is not Match.NONE for route in app.routes)


def test_every_process_documents_the_whole_api(app: FastAPI, settings: Settings) -> None:
    """Behind the gateway clients see one API, whichever process answers for its document."""
    alone = create_app(settings.model_copy(update={"services": frozenset({"payment"})}))
    assert alone.openapi() == app.openapi()
