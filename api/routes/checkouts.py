"""Placing an order: one Idempotency-Key, one order, one answer."""

import time
from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.idempotency import Begun
from api.cart_prices import check_quote, current_cart, price_cart
from api.checkout_answers import INSTANCE, checkout_answer
from api.deps import All, Services
from api.errors import http_problem, problems
from api.idempotency import Answer, OnceInWorkflow
from api.permissions import CurrentUser, require
from api.routes.orders import PENDING, pending
from api.temporal import OrderDesk
from api.turnstile import Turn
from domain.carts import user_owner
from domain.errors import BusinessError, PaymentMethodRequired
from domain.fulfilment import Demand
from schemas.base import Money
from schemas.checkout import CheckoutInput, CheckoutRequest, OnShortage
from schemas.orders import OrderView
from schemas.risk import ReviewRules
from schemas.users import Account

router = APIRouter(prefix="/v1/checkouts", tags=["checkout"])
ROUTE = "POST /v1/checkouts"
_LEAST_PATIENCE = 1.0
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
_EXAMPLES = {
    "visa": {"value": _EXAMPLE},
    "rather a part than nothing": {"value": {**_EXAMPLE, "on_shortage": "ask"}},
    "store credit first": {"value": {**_EXAMPLE, "use_store_credit": True}},
    "as_quoted": {"value": {**_EXAMPLE, "discount_code": "SPRING-26", "quote": "eyJjYXJ0X2lkIjoi…"}},
}


@router.post(
    "",
    status_code=201,
    dependencies=[require("checkout:place")],
    response_model=OrderView,
    responses={**PENDING, **problems(400, 401, 402, 403, 409, 422, 503)},
)
async def place_order(
    wanted: Annotated[CheckoutRequest, Body(openapi_examples=_EXAMPLES)],
    user: CurrentUser,
    everything: All,
    once: OnceInWorkflow,
) -> Response:
    """Order what is in the cart; answers when stock is reserved and the payment has its first answer.

    An order with a `shortage` waits for `POST /v1/orders/{id}/decision`, one with a `payment_action` until the customer
    has been to their bank. After a 402 the order waits until `retry_until` for another method
    (`POST /v1/orders/{id}/payment`); checking out anew takes its place.
    """
    begun, answer = await once.answer(ROUTE, wanted, lambda begun: _first_answer(everything, user, wanted, begun))
    if answer is None:
        return pending(begun.resource_id)
    return answer.response(f"/v1/orders/{begun.resource_id}")


async def _first_answer(everything: Services, user: Account, wanted: CheckoutRequest, begun: Begun) -> Answer:
    order_id, patience = begun.resource_id, everything.settings.checkout_answer_seconds
    deadline = time.monotonic() + patience
    if not begun.fresh:
        told = await OrderDesk(everything.temporal, patience).first_answer(order_id)
        recorded = await run_in_threadpool(everything.orders.get, order_id)
        if told is not None or recorded is not None:
            return await run_in_threadpool(checkout_answer, everything, order_id, told, user, wanted)
    try:
        order = await run_in_threadpool(_order_of_cart, everything, user, wanted, order_id)
        # What an order of the same cart holds until it is paid is not missing, so that one goes first.
        await _supersede(everything, order, patience)
        await run_in_threadpool(_check_stock, everything, order)
        async with everything.checkouts.turn(patience) as turn:
            if turn is not Turn.AT_ONCE:
                await run_in_threadpool(_check_stock, everything, order)
            desk = OrderDesk(everything.temporal, max(_LEAST_PATIENCE, deadline - time.monotonic()))
            told = await (desk.hand_in(order) if turn is Turn.NOT_YET else desk.place(order))
    except BusinessError as refusal:
        return Answer.refusing(http_problem(refusal), INSTANCE)
    return await run_in_threadpool(checkout_answer, everything, order_id, told, user, wanted)


def _order_of_cart(everything: Services, user: Account, wanted: CheckoutRequest, order_id: str) -> CheckoutInput:
    cart = current_cart(everything, user_owner(user.id), wanted.cart_version)
    now = price_cart(everything, cart, wanted, user.id)
    if wanted.quote is not None:
        check_quote(everything, everything.quotes.read(wanted.quote), now)
    if wanted.payment_method is None:
        _check_covered(everything, user.id, now.priced.total, wanted.currency)
    settings = everything.settings
    return CheckoutInput(
        order_id=order_id,
        customer_id=user.id,
        email=user.email,
        cart_id=cart.id,
        cart_version=cart.version,
        lines=now.command.lines,
        shipping_address=wanted.shipping_address.message(),
        shipping_method=wanted.shipping_method,
        payment_method=wanted.payment_method,
        payment_return_url=wanted.payment_return_url,
        use_store_credit=wanted.use_store_credit,
        discount_code=wanted.discount_code,
        currency=wanted.currency,
        approved_total=now.priced.total,
        payment_retry_seconds=int(settings.payment_retry_minutes * 60),
        authentication_seconds=max(1, int(settings.payment_authentication_minutes * 60)),
        authorization_seconds=int(settings.authorization_days * 86_400),
        on_shortage=wanted.on_shortage,
        decision_seconds=max(1, int(settings.decision_hours * 3600)),
        review=ReviewRules(
            total_from=settings.risk_review_total,
            seconds=max(1, int(settings.risk_review_hours * 3600)),
            otherwise=settings.risk_review_otherwise,
        ),
    )


def _check_covered(everything: Services, customer_id: str, total: int, currency: str) -> None:
    """A look that holds nothing; an order that finds less when it is placed waits for a method."""
    available = everything.credit.available(customer_id, currency)
    if available < total:
        shown = {
            "available": Money(amount=available, currency=currency),
            "total": Money(amount=total, currency=currency),
        }
        details = {name: money.model_dump() for name, money in shown.items()}
        raise PaymentMethodRequired("Your store credit does not cover the order.", **details)


async def _supersede(everything: Services, order: CheckoutInput, patience: float) -> None:
    waiting = await run_in_threadpool(everything.orders.waiting_of_cart, order.customer_id, order.cart_id)
    for earlier in waiting:
        await OrderDesk(everything.temporal, patience).supersede(earlier, order.customer_id)


def _check_stock(everything: Services, order: CheckoutInput) -> None:
    """Whoever comes too late costs one look; only the workflow, which holds the rows, can promise anything."""
    demands = [Demand(line.sku, line.quantity) for line in order.lines]
    everything.stock.check_shortage(demands, unless_partly=order.on_shortage is OnShortage.ASK)
