"""Who may do what: the one table, and the dependency by which each route names its line of it."""

from typing import Annotated, Any, Literal

from fastapi import Depends

from api.errors import HttpProblem
from api.identity import SignedIn
from schemas.users import Account, Role

Permission = Literal[
    "profile:read",
    "cart:use",
    "checkout:place",
    "orders:read_own",
    "orders:read_any",
    "orders:cancel_own",
    "orders:cancel_any",
    "stock:read",
]

GUEST: Literal["guest"] = "guest"
_EVERYBODY = frozenset(Role)

PERMISSIONS: dict[Permission, frozenset[Role | Literal["guest"]]] = {
    "profile:read": _EVERYBODY,
    "cart:use": _EVERYBODY | {GUEST},
    "checkout:place": frozenset({Role.CUSTOMER}),
    "orders:read_own": _EVERYBODY,
    "orders:read_any": frozenset({Role.SUPPORT, Role.ADMIN}),
    "orders:cancel_own": frozenset({Role.CUSTOMER}),
    "orders:cancel_any": frozenset({Role.SUPPORT, Role.ADMIN}),
    "stock:read": frozenset({Role.SUPPORT, Role.WAREHOUSE, Role.CATALOG, Role.ADMIN}),
}


def may(account: Account, permission: Permission) -> bool:
    """Whether one of the account's roles carries the permission."""
    return not PERMISSIONS[permission].isdisjoint(account.roles)


def require(*permissions: Permission) -> Any:
    """A route's dependency: 401 unless signed in (or open to guests), 403 unless one of the permissions is held."""

    def check(account: SignedIn) -> None:
        if account is None:
            if any(GUEST in PERMISSIONS[permission] for permission in permissions):
                return
            raise not_signed_in()
        if not any(may(account, permission) for permission in permissions):
            scope = " ".join(permissions)
            challenge = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
            raise HttpProblem(403, "forbidden", "Your account may not do this.", challenge)

    check.permissions = permissions  # type: ignore[attr-defined]  # what the test of the table reads
    return Depends(check)


def not_signed_in() -> HttpProblem:
    """401 without blaming a token, because there is none."""
    return HttpProblem(401, "not_authenticated", "Sign in first.", {"WWW-Authenticate": "Bearer"})


def _public() -> None:
    """Open to the world; a route says so in words, so that forgetting a permission is seen."""


public = Depends(_public)


def _current_user(account: SignedIn) -> Account:
    if account is None:
        raise not_signed_in()
    return account


CurrentUser = Annotated[Account, Depends(_current_user)]
