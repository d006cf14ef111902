"""Store credit: granted by staff, shown to its customer."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query

from adapters.mysql.payments.credit import Granter
from api.deps import AccountStore, CreditStore
from api.errors import problems
from api.idempotency import IdempotencyKey
from api.permissions import CurrentPrincipal, CurrentUser, acting, require
from domain.errors import NotFound
from schemas.credit import CreditEntry, CreditStatement, GrantCredit, OwnCreditStatement

router = APIRouter(prefix="/v1", tags=["store credit"])
_EXAMPLES = {
    "goodwill": {
        "value": {"amount": {"amount": 1000, "currency": "EUR"}, "reason": "your parcel arrived a week too late"}
    }
}
Cursor = Annotated[int | None, Query(ge=0, le=2**62)]
Limit = Annotated[int, Query(ge=1, le=200)]


def _customer(customer_id: str, accounts: AccountStore) -> str:
    if not customer_id.isascii() or len(customer_id) > 36 or accounts.by_id(customer_id) is None:
        raise NotFound("There is no such customer.")
    return customer_id


ThisCustomer = Annotated[str, Depends(_customer)]


@router.get("/users/me/credit", dependencies=[require("credit:read_own")], responses=problems(401, 403, 422, 503))
def read_own_credit(
    user: CurrentUser, credit: CreditStore, cursor: Cursor = None, limit: Limit = 50
) -> OwnCreditStatement:
    """Your store credit: what is available, what is authorized for orders, and all movements, newest first."""
    return OwnCreditStatement.model_validate(credit.statement(user.id, cursor, limit).model_dump())


@router.get(
    "/ops/customers/{customer_id}/credit",
    dependencies=[require("credit:read_any")],
    responses=problems(401, 403, 404, 422, 503),
)
def read_credit(
    customer: ThisCustomer, credit: CreditStore, cursor: Cursor = None, limit: Limit = 50
) -> CreditStatement:
    """A customer's store credit: the balance, and every movement with its actor and reason, newest first."""
    return credit.statement(customer, cursor, limit)


@router.post(
    "/ops/customers/{customer_id}/credit",
    status_code=201,
    dependencies=[require("credit:grant")],
    responses=problems(400, 401, 403, 404, 422, 503),
)
def grant_credit(
    body: Annotated[GrantCredit, Body(openapi_examples=_EXAMPLES)],
    customer: ThisCustomer,
    asker: CurrentPrincipal,
    key: IdempotencyKey,
    credit: CreditStore,
) -> CreditEntry:
    """Grant store credit to a customer, once per key."""
    granter = Granter(acting(asker, "credit:grant"), f"{asker.name}:{hashlib.sha256(key.encode()).hexdigest()}")
    return credit.grant(customer, body, granter)
