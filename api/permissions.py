"""Who may do what: the one table, and the dependency by which each route names its line of it."""

from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Literal

from fastapi import Depends

from api.deps import AccountStore
from api.errors import HttpProblem
from api.identity import SignedIn, bearer
from api.principals import Principal
from domain.actors import staff_actor
from schemas.base import Open
from schemas.problem_codes import ProblemCode
from schemas.users import Account, Role

Permission = Literal[
    "profile:read",
    "profile:write",
    "addresses:own",
    "userinfo:read",
    "sessions:end_own",
    "api_keys:own",
    "cart:use",
    "cart:merge",
    "checkout:place",
    "orders:read_own",
    "orders:read_any",
    "orders:cancel_own",
    "orders:cancel_any",
    "orders:change_own",
    "orders:change_any",
    "orders:refund",
    "orders:review",
    "orders:settle",
    "credit:read_own",
    "credit:read_any",
    "credit:grant",
    "products:manage",
    "stock:read",
    "stock:move",
    "parcels:pick",
    "ops:orders",
    "ops:reconcile",
    "disputes:manage",
    "payments:repair",
    "vouchers:manage",
    "users:read_any",
    "users:manage_roles",
    "users:lock",
    "clients:manage",
    "security_events:read",
]

GUEST: Literal["guest"] = "guest"
_EVERYBODY = frozenset(Role)

PERMISSIONS: dict[Permission, frozenset[Role | Literal["guest"]]] = {
    "profile:read": _EVERYBODY,
    "profile:write": _EVERYBODY,
    "addresses:own": _EVERYBODY,
    "userinfo:read": _EVERYBODY,
    "sessions:end_own": _EVERYBODY,
    "api_keys:own": _EVERYBODY,
    "cart:use": _EVERYBODY | {GUEST},
    "cart:merge": _EVERYBODY,
    "checkout:place": frozenset({Role.CUSTOMER}),
    "orders:read_own": _EVERYBODY,
    "orders:read_any": frozenset({Role.SUPPORT, Role.ADMIN}),
    "orders:cancel_own": frozenset({Role.CUSTOMER}),
    "orders:cancel_any": frozenset({Role.SUPPORT, Role.ADMIN}),
    "orders:change_own": frozenset({Role.CUSTOMER}),
    "orders:change_any": frozenset({Role.SUPPORT, Role.ADMIN}),
    "orders:refund": frozenset({Role.SUPPORT, Role.ADMIN}),
    "orders:review": frozenset({Role.SUPPORT, Role.ADMIN}),
    "orders:settle": frozenset({Role.SUPPORT, Role.ADMIN}),
    "credit:read_own": _EVERYBODY,
    "credit:read_any": frozenset({Role.SUPPORT, Role.ADMIN}),
    "credit:grant": frozenset({Role.SUPPORT, Role.ADMIN}),
    "products:manage": frozenset({Role.CATALOG, Role.ADMIN}),
    "stock:read": frozenset({Role.SUPPORT, Role.WAREHOUSE, Role.CATALOG, Role.ADMIN}),
    "stock:move": frozenset({Role.WAREHOUSE, Role.ADMIN}),
    "parcels:pick": frozenset({Role.WAREHOUSE, Role.ADMIN}),
    "ops:orders": frozenset({Role.SUPPORT, Role.WAREHOUSE, Role.ADMIN}),
    "ops:reconcile": frozenset({Role.SUPPORT, Role.ADMIN}),
    "disputes:manage": frozenset({Role.SUPPORT, Role.ADMIN}),
    "payments:repair": frozenset({Role.SUPPORT, Role.ADMIN}),
    "vouchers:manage": frozenset({Role.CATALOG, Role.ADMIN}),
    "users:read_any": frozenset({Role.SUPPORT, Role.ADMIN}),
    "users:manage_roles": frozenset({Role.ADMIN}),
    "users:lock": frozenset({Role.SUPPORT, Role.ADMIN}),
    "clients:manage": frozenset({Role.ADMIN}),
    "security_events:read": frozenset({Role.ADMIN}),
}

# What the customer of another application has agreed to; whatever stands in no scope, only our own storefront may do.
SCOPES: dict[str, frozenset[Permission]] = {
    "openid": frozenset({"userinfo:read"}),
    "profile": frozenset({"profile:read"}),
    "cart": frozenset({"cart:use", "cart:merge"}),
    "orders": frozenset({"checkout:place", "orders:read_own", "orders:cancel_own", "orders:change_own"}),
}
# With these a stolen key could make itself permanent.
NOT_FOR_API_KEYS: frozenset[Permission] = frozenset(
    {"profile:write", "sessions:end_own", "api_keys:own", "users:manage_roles", "clients:manage"}
)


def may(principal: Principal, permission: Permission) -> bool:
    """Whether one of its roles carries the permission, and its token or key was made for it."""
    limits = principal.limits
    allowed = limits is None or permission in limits or any(permission in SCOPES.get(one, ()) for one in limits)
    return allowed and not PERMISSIONS[permission].isdisjoint(principal.roles)


def acting(principal: Principal, permission: Permission) -> str:
    """The actor as the order's history and the audit log name it: `staff:<id>:<role>`, `service:<id>`."""
    if principal.kind == "service":
        return principal.name
    return staff_actor(principal.id, min(role for role in principal.roles if role in PERMISSIONS[permission]))


def permissions_for_keys(roles: AbstractSet[Open[Role]]) -> frozenset[Permission]:
    """What an API key of an account with these roles can be made for."""
    return frozenset(name for name, holders in PERMISSIONS.items() if holders & roles) - NOT_FOR_API_KEYS


def require(*permissions: Permission) -> Any:
    """A route's dependency: 401 unless signed in (or open to guests), 403 unless one of the permissions is held."""

    async def check(principal: SignedIn, _in_openapi: Annotated[str | None, Depends(bearer)]) -> None:
        if principal is None:
            if any(GUEST in PERMISSIONS[permission] for permission in permissions):
                return
            raise not_signed_in()
        if not any(may(principal, permission) for permission in permissions):
            scope = " ".join(permissions)
            challenge = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
            raise HttpProblem(403, ProblemCode.FORBIDDEN, "You are not allowed to do this.", challenge)

    check.permissions = permissions  # type: ignore[attr-defined]  # what the test of the table reads
    return Depends(check)


def not_signed_in() -> HttpProblem:
    """401 for a request that carries no token."""
    return HttpProblem(401, ProblemCode.NOT_AUTHENTICATED, "Please sign in first.", {"WWW-Authenticate": "Bearer"})


async def _public() -> None:
    """Open to the world; a route says so, so that a forgotten permission is noticed."""


public = Depends(_public)


async def _current_principal(principal: SignedIn) -> Principal:
    if principal is None:
        raise not_signed_in()
    return principal


CurrentPrincipal = Annotated[Principal, Depends(_current_principal)]


def _current_user(principal: CurrentPrincipal, accounts: AccountStore) -> Account:
    account = accounts.by_id(principal.id) if principal.kind == "person" else None
    if account is None:
        raise HttpProblem(403, ProblemCode.FORBIDDEN, "Only a person with an account can do this.")
    return account


CurrentUser = Annotated[Account, Depends(_current_user)]
