"""Accounts as staff sees them: roles, locks, sessions, and the log of what was done to them."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from api.client_address import client_address
from api.deps import AccountStore, All, Security, Services, SessionService
from api.errors import HttpProblem, problems
from api.ownership import UUID_FORM
from api.permissions import CurrentPrincipal, Permission, acting, may, require
from api.principals import Principal
from domain.errors import NotFound
from domain.events import SecurityEventType
from schemas.security import ManagedUser, SecurityEventPage, SetRoles
from schemas.users import Account, Role

router = APIRouter(tags=["identity"])
_ROLES_EXAMPLE = {"roles": ["customer", "support"]}
_REFUSALS = problems(401, 403, 404, 409, 503)


def _account(user_id: str, accounts: AccountStore) -> Account:
    account = accounts.by_id(user_id) if UUID_FORM.fullmatch(user_id) else None
    if account is None:
        raise NotFound("There is no such account.")
    return account


ThisAccount = Annotated[Account, Depends(_account)]


class _Deed:
    """Something done to an account: noted in the audit log with who did it, in which role, from where."""

    def __init__(self, request: Request, asker: CurrentPrincipal, everything: All) -> None:
        self._address = client_address(request)
        self.asker: Principal = asker
        self.everything: Services = everything

    def note(self, type: SecurityEventType, permission: Permission, account: Account, **data: object) -> None:  # noqa: A002
        own = account.id == self.asker.id
        actor = self.asker.name if own else acting(self.asker, permission)
        self.everything.security.record(type, user_id=account.id, actor=actor, address=self._address, **data)


Deed = Annotated[_Deed, Depends()]


@router.post(
    "/v1/users/me/logout-everywhere",
    status_code=204,
    dependencies=[require("sessions:end_own")],
    responses=problems(401, 403, 503),
)
def sign_out_everywhere(asker: CurrentPrincipal, sessions: SessionService, deed: Deed, accounts: AccountStore) -> None:
    """End all my sessions, this one too; API keys stay."""
    account = accounts.by_id(asker.id) if asker.kind == "person" else None
    if account is None:
        raise HttpProblem(403, "forbidden", "Only a person with an account can do this.")
    sessions.end_all(account.id)
    deed.note(SecurityEventType.ACCOUNT_SIGNED_OUT_EVERYWHERE, "sessions:end_own", account)


@router.get("/v1/users/{user_id}", dependencies=[require("users:read_any")], responses=_REFUSALS)
def read_user(account: ThisAccount) -> ManagedUser:
    """Any account, for staff."""
    return _view(account)


@router.put("/v1/users/{user_id}/roles", dependencies=[require("users:manage_roles")], responses=_REFUSALS)
def set_roles(
    account: ThisAccount,
    wanted: Annotated[SetRoles, Body(openapi_examples={"support": {"value": _ROLES_EXAMPLE}})],
    sessions: SessionService,
    deed: Deed,
) -> ManagedUser:
    """Replace an account's roles; tokens it has are refused from now on, and the next ones carry the new roles."""
    changed = deed.everything.accounts.set_roles(account.id, wanted.roles)
    sessions.changed(changed)
    deed.note(
        SecurityEventType.ACCOUNT_ROLES_CHANGED,
        "users:manage_roles",
        account,
        before=account.roles,
        after=changed.roles,
    )
    return _view(changed)


@router.post("/v1/users/{user_id}/lock", dependencies=[require("users:lock")], responses=_REFUSALS)
def lock_user(account: ThisAccount, sessions: SessionService, deed: Deed) -> ManagedUser:
    """Shut an account out at once: its sessions and its API keys end."""
    _check_may_lock(deed.asker, account)
    deed.everything.accounts.set_active(account.id, active=False)
    deed.everything.api_keys.revoke(account.id)
    sessions.end_all(account.id)
    deed.note(SecurityEventType.ACCOUNT_LOCKED, "users:lock", account)
    return _view(account.model_copy(update={"active": False}))


@router.post("/v1/users/{user_id}/unlock", dependencies=[require("users:lock")], responses=_REFUSALS)
def unlock_user(account: ThisAccount, sessions: SessionService, deed: Deed) -> ManagedUser:
    """Let an account sign in again."""
    _check_may_lock(deed.asker, account)
    changed = deed.everything.accounts.set_active(account.id, active=True)
    sessions.changed(changed)
    deed.note(SecurityEventType.ACCOUNT_UNLOCKED, "users:lock", account)
    return _view(changed)


@router.post(
    "/v1/users/{user_id}/logout-everywhere",
    status_code=204,
    dependencies=[require("users:lock")],
    responses=_REFUSALS,
)
def sign_user_out_everywhere(account: ThisAccount, sessions: SessionService, deed: Deed) -> Response:
    """End all sessions of an account; it may sign in again."""
    _check_may_lock(deed.asker, account)
    sessions.end_all(account.id)
    deed.note(SecurityEventType.ACCOUNT_SIGNED_OUT_EVERYWHERE, "users:lock", account)
    return Response(status_code=204)


@router.get(
    "/v1/security-events",
    dependencies=[require("security_events:read")],
    responses=problems(401, 403, 422, 503),
)
def list_security_events(
    security: Security,
    user_id: Annotated[str | None, Query(max_length=36)] = None,
    cursor: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> SecurityEventPage:
    """What was done to accounts, newest first."""
    if user_id is not None and not UUID_FORM.fullmatch(user_id):
        return SecurityEventPage(items=[])
    return security.page(cursor, limit, user_id)


def _check_may_lock(asker: Principal, account: Account) -> None:
    """Staff is locked by those who appoint it, else support could shut its administrators out."""
    if set(account.roles) - {Role.CUSTOMER} and not may(asker, "users:manage_roles"):
        raise HttpProblem(403, "forbidden", "Only an administrator can do this to staff.")


def _view(account: Account) -> ManagedUser:
    return ManagedUser.model_validate(account.model_dump())
