"""Accounts for staff: roles, locks, sessions, and the audit log."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Response

from adapters.mysql.identity.security_events import SecurityEvents
from api.deps import AccountStore, ApiKeyStore, ClientAddress, Security, SessionService
from api.errors import HttpProblem, problems
from api.permissions import CurrentPrincipal, Permission, acting, may, require
from api.principals import Principal
from domain.errors import NotFound
from domain.events import SecurityEventType
from domain.ids import is_uuid
from schemas.problem_codes import ProblemCode
from schemas.security import ManagedUser, SecurityEventPage, SetRoles
from schemas.users import Account, Role

router = APIRouter(tags=["identity"])
_ROLES_EXAMPLE = {"roles": ["customer", "support"]}
_REFUSALS = problems(401, 403, 404, 409, 503)


def _account(user_id: str, accounts: AccountStore) -> Account:
    account = accounts.by_id(user_id) if is_uuid(user_id) else None
    if account is None:
        raise NotFound("There is no such account.")
    return account


ThisAccount = Annotated[Account, Depends(_account)]


class _Audit:
    """Records what was done to an account, by whom, in which role and from where."""

    def __init__(self, security: SecurityEvents, asker: Principal, address: str) -> None:
        self._security = security
        self._asker = asker
        self._address = address

    def record(self, kind: SecurityEventType, permission: Permission, account: Account, **data: object) -> None:
        own = account.id == self._asker.id
        actor = self._asker.name if own else acting(self._asker, permission)
        self._security.record(kind, user_id=account.id, actor=actor, address=self._address, **data)


async def _audit(security: Security, asker: CurrentPrincipal, address: ClientAddress) -> _Audit:
    return _Audit(security, asker, address)


Audit = Annotated[_Audit, Depends(_audit)]


def _may_lock(account: ThisAccount, asker: CurrentPrincipal) -> Account:
    """Staff is locked by those who appoint it, otherwise support could lock out its administrators."""
    if set(account.roles) - {Role.CUSTOMER} and not may(asker, "users:manage_roles"):
        raise HttpProblem(403, ProblemCode.FORBIDDEN, "Only an administrator can do this to staff.")
    return account


LockableAccount = Annotated[Account, Depends(_may_lock)]


@router.post(
    "/v1/users/me/logout-everywhere",
    status_code=204,
    dependencies=[require("sessions:end_own")],
    responses=problems(401, 403, 503),
)
def sign_out_everywhere(
    asker: CurrentPrincipal, sessions: SessionService, audit: Audit, accounts: AccountStore
) -> None:
    """End all your sessions, this one too; API keys stay."""
    account = accounts.by_id(asker.id) if asker.kind == "person" else None
    if account is None:
        raise HttpProblem(403, ProblemCode.FORBIDDEN, "Only a person with an account can do this.")
    sessions.end_all(account.id)
    audit.record(SecurityEventType.ACCOUNT_SIGNED_OUT_EVERYWHERE, "sessions:end_own", account)


@router.get("/v1/users/{user_id}", dependencies=[require("users:read_any")], responses=_REFUSALS)
def read_user(account: ThisAccount) -> ManagedUser:
    """One account, for staff."""
    return _view(account)


@router.put("/v1/users/{user_id}/roles", dependencies=[require("users:manage_roles")], responses=_REFUSALS)
def set_roles(
    account: ThisAccount,
    body: Annotated[SetRoles, Body(openapi_examples={"support": {"value": _ROLES_EXAMPLE}})],
    accounts: AccountStore,
    sessions: SessionService,
    audit: Audit,
) -> ManagedUser:
    """Replace an account's roles; its tokens stop at once, and new ones carry the new roles."""
    changed = accounts.set_roles(account.id, body.roles)
    sessions.changed(changed)
    audit.record(
        SecurityEventType.ACCOUNT_ROLES_CHANGED,
        "users:manage_roles",
        account,
        before=account.roles,
        after=changed.roles,
    )
    return _view(changed)


@router.post("/v1/users/{user_id}/lock", dependencies=[require("users:lock")], responses=_REFUSALS)
def lock_user(
    account: LockableAccount, accounts: AccountStore, keys: ApiKeyStore, sessions: SessionService, audit: Audit
) -> ManagedUser:
    """Lock an account: its sessions and its API keys end at once."""
    accounts.set_active(account.id, active=False)
    keys.revoke(account.id)
    sessions.end_all(account.id)
    audit.record(SecurityEventType.ACCOUNT_LOCKED, "users:lock", account)
    return _view(account.model_copy(update={"active": False}))


@router.post("/v1/users/{user_id}/unlock", dependencies=[require("users:lock")], responses=_REFUSALS)
def unlock_user(
    account: LockableAccount, accounts: AccountStore, sessions: SessionService, audit: Audit
) -> ManagedUser:
    """Let an account sign in again."""
    changed = accounts.set_active(account.id, active=True)
    sessions.changed(changed)
    audit.record(SecurityEventType.ACCOUNT_UNLOCKED, "users:lock", account)
    return _view(changed)


@router.post(
    "/v1/users/{user_id}/logout-everywhere",
    status_code=204,
    dependencies=[require("users:lock")],
    responses=_REFUSALS,
)
def sign_user_out_everywhere(account: LockableAccount, sessions: SessionService, audit: Audit) -> Response:
    """End all sessions of an account; it may sign in again."""
    sessions.end_all(account.id)
    audit.record(SecurityEventType.ACCOUNT_SIGNED_OUT_EVERYWHERE, "users:lock", account)
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
    """The audit log of accounts, newest first."""
    if user_id is not None and not is_uuid(user_id):
        return SecurityEventPage(items=[])
    return security.page(cursor, limit, user_id)


def _view(account: Account) -> ManagedUser:
    return ManagedUser.model_validate(account.model_dump())
