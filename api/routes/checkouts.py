"""Placing an order: one Idempotency-Key, one order, one answer."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import sqlalchemy as sa
import structlog
from fastapi import APIRouter, Body, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from uuid_utils import uuid7

from adapters.carts import user_owner
from adapters.mysql.idempotency import Begun
from api.cart_views import cart_view
from api.deps import All, Services
from api.errors import PROBLEM_JSON, HttpProblem, http_problem, problem_body, problems, status_of_code
from api.idempotency import IdempotencyKey
from api.permissions import CurrentPrincipal, CurrentUser, require
from api.routes.orders import PENDING, pending
from api.temporal import OrderDesk, StillWorking
from api.turnstile import Turn
from domain.errors import BusinessError, CartChanged, EmptyCart, UnknownProduct
from domain.fulfilment import Demand
from schemas.checkout import CheckoutAnswer, CheckoutInput, CheckoutOutcome, CheckoutRequest, OrderLineInput
from schemas.orders import OrderView
from schemas.users import Account

router = APIRouter(prefix="/v1/checkouts", tags=["checkout"])
ROUTE = "POST /v1/checkouts"
_LEAST_PATIENCE = 1.0
_log = structlog.get_logger(__name__)
_EXAMPLE = {
    "cart_version": 3,
    "shipping_address": {
        "name": "Ada Lovelace",
        "line1": "Unter den Linden 1",
        "city": "Berlin",
        "postal_code": "10117",
        "country": "DE",
    },
    "shipping_method": "standard",
    "payment_method": "pm_card_visa",
}


@dataclass(frozen=True)
class _Answer:
    """What is told to this request, and to every repeat of it."""

    status: int
    body: Any

    def response(self, order_id: str) -> Response:
        headers = {"Location": f"/v1/orders/{order_id}"} if self.status == 201 else {}
        media_type = PROBLEM_JSON if self.status >= 400 else "application/json"
        return JSONResponse(self.body, self.status, headers=headers, media_type=media_type)


@router.post(
    "",
    status_code=201,
    dependencies=[require("checkout:place")],
    response_model=OrderView,
    responses={**PENDING, **problems(400, 401, 402, 403, 409, 422, 503)},
)
async def place_order(
    wanted: Annotated[CheckoutRequest, Body(openapi_examples={"visa": {"value": _EXAMPLE}})],
    asker: CurrentPrincipal,
    user: CurrentUser,
    everything: All,
    key: IdempotencyKey,
) -> Response:
    """Order what is in the cart; answers when stock is reserved and the payment has its first answer."""
    keys, principal = everything.idempotency, asker.name
    claim = (principal, ROUTE, key)
    begun = await run_in_threadpool(keys.begin, principal, ROUTE, key, _fingerprint(wanted), str(uuid7()))
    if begun.status_code is not None:
        return _Answer(begun.status_code, begun.response).response(begun.resource_id)
    try:
        answer = await _first_answer(everything, user, wanted, begun)
    except StillWorking:
        # Not the last word: a repeat asks again.
        await run_in_threadpool(keys.release, *claim)
        return pending(begun.resource_id)
    except Exception:
        await _without_fail(keys.release, *claim)
        raise
    await _without_fail(keys.finish, *claim, answer.status, answer.body)
    return answer.response(begun.resource_id)


async def _first_answer(everything: Services, user: Account, wanted: CheckoutRequest, begun: Begun) -> _Answer:
    order_id, patience = begun.resource_id, everything.settings.checkout_answer_seconds
    deadline = time.monotonic() + patience
    if not begun.fresh:
        told = await OrderDesk(everything.temporal, patience).first_answer(order_id)
        recorded = await run_in_threadpool(everything.orders.get, order_id)
        if told is not None or recorded is not None:
            return await run_in_threadpool(_answer, everything, order_id, told)
    try:
        order = await run_in_threadpool(_order_of_cart, everything, user, wanted, order_id)
        async with everything.checkouts.turn(patience) as turn:
            if turn is not Turn.AT_ONCE:
                await run_in_threadpool(_check_stock, everything, order.lines)
            desk = OrderDesk(everything.temporal, max(_LEAST_PATIENCE, deadline - time.monotonic()))
            told = await (desk.hand_in(order) if turn is Turn.NOT_YET else desk.place(order))
    except BusinessError as refusal:
        return _refusal(http_problem(refusal))
    return await run_in_threadpool(_answer, everything, order_id, told)


def _order_of_cart(everything: Services, user: Account, wanted: CheckoutRequest, order_id: str) -> CheckoutInput:
    cart = everything.carts.current(user_owner(user.id))
    if cart.version != wanted.cart_version:
        shown = cart_view(cart, everything.catalog, everything.stock)
        raise CartChanged(f"The cart has version {cart.version}, not {wanted.cart_version}.", cart=shown)
    if not cart.items:
        raise EmptyCart("There is nothing in the cart.")
    offers = everything.catalog.offers(cart.items.keys())
    gone = sorted(sku for sku in cart.items if sku not in offers or not offers[sku].for_sale)
    if gone:
        raise UnknownProduct(f"Not for sale any more: {', '.join(gone)}.", skus=gone)
    lines = [OrderLineInput(sku=sku, quantity=quantity) for sku, quantity in cart.items.items()]
    _check_stock(everything, lines)
    return CheckoutInput(
        order_id=order_id,
        customer_id=user.id,
        email=user.email,
        cart_id=cart.id,
        cart_version=cart.version,
        lines=lines,
        shipping_address=wanted.shipping_address,
        shipping_method=wanted.shipping_method,
        payment_method=wanted.payment_method,
    )


def _check_stock(everything: Services, lines: Sequence[OrderLineInput]) -> None:
    """Whoever comes too late costs one look; only the workflow, which holds the rows, can promise anything."""
    everything.stock.check_shortage([Demand(line.sku, line.quantity) for line in lines])


def _answer(everything: Services, order_id: str, told: CheckoutAnswer | None) -> _Answer:
    """What the workflow said, in HTTP's words; an order whose workflow is forgotten is told from the books."""
    if told is not None and told.outcome is not CheckoutOutcome.AUTHORIZED:
        return _refusal(_problem(told))
    order = everything.orders.get(order_id)
    if order is None:
        raise StillWorking
    if order.failure_code is not None:
        problem = HttpProblem(409, order.failure_code, "This order has failed.", members={"order_id": order_id})
        return _refusal(problem)
    return _Answer(201, order.model_dump(mode="json"))


def _problem(told: CheckoutAnswer) -> HttpProblem:
    by_outcome = {
        CheckoutOutcome.DECLINED: (402, "payment_declined", "The bank declined the payment."),
        CheckoutOutcome.OUT_OF_STOCK: (409, "out_of_stock", "Not everything can be delivered."),
        CheckoutOutcome.REFUSED: (status_of_code(told.code), "refused", "The order cannot be placed."),
        CheckoutOutcome.CANCELLED: (409, "cancelled", "The order has been cancelled."),
    }
    status, code, detail = by_outcome[told.outcome]
    members = {**told.details, "order_id": told.order_id}
    return HttpProblem(status, told.code or code, told.message or detail, members=members)


def _refusal(problem: HttpProblem) -> _Answer:
    return _Answer(problem.status, problem_body(problem, "/v1/checkouts"))


def _fingerprint(wanted: CheckoutRequest) -> str:
    return hashlib.sha256(wanted.model_dump_json().encode()).hexdigest()


async def _without_fail(deed: Any, *arguments: object) -> None:
    """The order has its answer; that the key cannot be kept now only means that a repeat asks once more."""
    try:
        await run_in_threadpool(deed, *arguments)
    except sa.exc.SQLAlchemyError as error:
        _log.warning("an idempotency key could not be kept", error=str(error)[:300])
