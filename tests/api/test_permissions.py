"""The table of permissions is what the API does: every route, every role, and nobody's things but one's own."""

import re
import uuid
from collections.abc import Iterator

import httpx2
import pytest
from fastapi.routing import APIRoute

from adapters.connections import Connections
from adapters.mysql.identity.users import Accounts
from api.main import ROUTERS
from api.permissions import GUEST, PERMISSIONS, public
from schemas.users import Role
from tests.fixture_types import PASSWORD, Headers, Json, MakeCustomer, PlaceOrder

ROLES: list[Role | None] = [None, *Role]
# What a call needs to be well-formed enough for the question who may make it.
QUERY = {"/v1/products/suggest": {"q": "coffee"}}


def all_routes() -> Iterator[tuple[str, APIRoute]]:
    for routers in ROUTERS.values():
        for router in routers:
            for route in router.routes:
                assert isinstance(route, APIRoute)
                for method in sorted(route.methods or ()):
                    yield method, route


def permissions_of(route: APIRoute) -> set[str]:
    stated = {one.dependency for one in route.dependencies}
    return {one for dependency in stated for one in getattr(dependency, "permissions", ())}


def is_public(route: APIRoute) -> bool:
    return public.dependency in {one.dependency for one in route.dependencies}


GUARDED = [(method, route) for method, route in all_routes() if not is_public(route)]


def name_of(method: str, route: APIRoute) -> str:
    return f"{method} {route.path}"


def may(role: Role | None, route: APIRoute) -> bool:
    holder = GUEST if role is None else role
    return any(holder in PERMISSIONS[one] for one in permissions_of(route))  # type: ignore[index]


Tokens = dict[Role | None, Headers]


@pytest.fixture(scope="module")
def tokens(api: httpx2.Client, make_customer: MakeCustomer, connections: Connections) -> Tokens:
    """A way to sign in per role, each by an account that has this role and no other."""
    found: Tokens = {None: {"X-Cart-Token": uuid.uuid4().hex}}
    for role in Role:
        account = make_customer()
        Accounts(connections.engine).set_roles(account.id, [role])
        found[role] = sign_in(api, account.email)
    return found


def sign_in(api: httpx2.Client, email: str) -> dict[str, str]:
    scope = "openid profile email cart orders"
    form = {"grant_type": "password", "username": email, "password": PASSWORD, "scope": scope}
    return {"Authorization": f"Bearer {api.post('/oauth2/token', data=form).json()['access_token']}"}


def call(api: httpx2.Client, method: str, route: APIRoute, headers: dict[str, str], **ids: str) -> httpx2.Response:
    """The route with made-up ids and an empty body: the refusal of who is not allowed comes before that of what."""
    path = re.sub(r"\{(\w+)\}", lambda match: ids.get(match[1], str(uuid.uuid4())), route.path)
    body: Json = {} if method == "GET" else {"json": {}}
    with api.stream(method, path, headers=headers, follow_redirects=False, **body) as answer:
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):  # which has no end
            answer.read()
    return answer


def test_every_route_states_a_permission_of_the_table_or_that_it_is_public() -> None:
    for method, route in all_routes():
        permissions = permissions_of(route)
        assert permissions <= PERMISSIONS.keys(), name_of(method, route)
        assert is_public(route) != bool(permissions), f"{name_of(method, route)} states {permissions or 'nothing'}"


def test_every_permission_is_asked_for_somewhere_and_somebody_has_it() -> None:
    asked = {one for _, route in all_routes() for one in permissions_of(route)}
    assert asked == PERMISSIONS.keys()
    assert all(PERMISSIONS.values())


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role or "guest")
@pytest.mark.parametrize(("method", "route"), GUARDED, ids=[name_of(*one) for one in GUARDED])
def test_a_route_lets_in_exactly_the_roles_of_the_table(
    api: httpx2.Client,
    tokens: Tokens,
    make_customer: MakeCustomer,
    connections: Connections,
    method: str,
    route: APIRoute,
    role: Role | None,
) -> None:
    headers = tokens[role]
    if role is not None and ends_the_session(method, route):
        account = make_customer()
        Accounts(connections.engine).set_roles(account.id, [role])
        headers = sign_in(api, account.email)
    answer = call(api, method, route, headers)
    if may(role, route):
        assert answer.status_code not in (401, 403), answer.text
        assert answer.status_code < 500, answer.text
    else:
        assert answer.status_code == (401 if role is None else 403), answer.text


def ends_the_session(method: str, route: APIRoute) -> bool:
    """Made by an account of its own, so that the next call still finds the others signed in."""
    return method != "GET" and (route.path == "/v1/users/me" or "/v1/users/me/" in route.path)


WITH_IDS = [(method, route) for method, route in GUARDED if "{" in route.path and "{sku}" not in route.path]


@pytest.mark.parametrize("odd", ["1", "%00", "ü", "x" * 300, "..%2f..%2fetc", "' OR 1=1 --"])
@pytest.mark.parametrize(("method", "route"), WITH_IDS, ids=[name_of(*one) for one in WITH_IDS])
def test_an_id_that_is_none_is_not_found(
    api: httpx2.Client, tokens: Tokens, method: str, route: APIRoute, odd: str
) -> None:
    role = next(role for role in (Role.CUSTOMER, Role.ADMIN) if may(role, route))
    names = re.findall(r"\{(\w+)\}", route.path)
    answer = call(api, method, route, tokens[role], **dict.fromkeys(names, odd))
    # A body that is wanted as well may be missed first.
    assert answer.status_code in (404, 422), answer.text


ADDRESS = {"name": "Ada", "line1": "Unter den Linden 1", "city": "Berlin", "postal_code": "10117", "country": "DE"}
OWN_THINGS = [(method, route) for method, route in WITH_IDS if may(Role.CUSTOMER, route)]


@pytest.fixture(scope="module")
def anothers_ids(api: httpx2.Client, make_customer: MakeCustomer, place_order: PlaceOrder) -> dict[str, str]:
    """One of everything that a route can be asked for by its id, and it belongs to somebody else."""
    owner = make_customer()
    address = api.post("/v1/users/me/addresses", json=ADDRESS, headers=owner.headers).json()
    key = api.post(
        "/v1/users/me/api-keys", json={"name": "theirs", "scopes": ["cart:use"]}, headers=owner.headers
    ).json()
    return {"order_id": place_order(owner)["id"], "address_id": address["id"], "key_id": key["id"], "user_id": owner.id}


@pytest.mark.parametrize(("method", "route"), OWN_THINGS, ids=[name_of(*one) for one in OWN_THINGS])
def test_what_belongs_to_another_looks_like_nothing(
    api: httpx2.Client, tokens: Tokens, anothers_ids: dict[str, str], method: str, route: APIRoute
) -> None:
    path = route.path.format(**anothers_ids)
    nothing = route.path.format(**{name: str(uuid.uuid4()) for name in anothers_ids})
    body = None if method == "GET" else ADDRESS if "addresses" in path else {}
    theirs, none = (api.request(method, one, headers=tokens[Role.CUSTOMER], json=body) for one in (path, nothing))
    assert (theirs.status_code, theirs.json()["code"]) == (404, "not_found")
    assert {**theirs.json(), "instance": None} == {**none.json(), "instance": None}
