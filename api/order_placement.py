"""Placing an order: check the cart and its price, then ask the order's workflow for its first answer."""

import time
from dataclasses import dataclass

from fastapi.concurrency import run_in_threadpool

from adapters.mysql.idempotency import Begun
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.stock import Stock
from adapters.mysql.payments.credit import StoreCredit
from adapters.settings import Settings
from api.answers import Answer
from api.cart_prices import CartPrices
from api.checkout_answers import INSTANCE, CheckoutAnswers
from api.concurrency_limit import ConcurrencyLimit, Entry
from api.errors import http_problem
from domain.carts import user_owner
from domain.errors import BusinessError, PaymentMethodRequired
from domain.fulfilment import Demand
from schemas.base import Money
from schemas.checkout import CheckoutAnswer, CheckoutInput, CheckoutRequest, OnShortage
from schemas.risk import ReviewRules
from schemas.users import Account
from temporal_clients.checkouts import CheckoutClient

_LEAST_PATIENCE = 1.0


@dataclass(frozen=True)
class OrderPlacement:
    """Starts the order of a cart, once per key."""

    settings: Settings
    orders: OrderStore
    stock: Stock
    credit: StoreCredit
    prices: CartPrices
    answers: CheckoutAnswers
    checkouts: CheckoutClient
    limit: ConcurrencyLimit

    async def answer(self, user: Account, request: CheckoutRequest, begun: Begun) -> Answer:
        """The first answer of the order that this key stands for; raises StillWorking, TemporalAway."""
        order_id = begun.resource_id
        deadline = time.monotonic() + self.settings.checkout_answer_seconds
        if not begun.fresh:
            answer = await self.checkouts.first_answer(order_id)
            recorded = await run_in_threadpool(self.orders.get, order_id)
            if answer is not None or recorded is not None:
                return await run_in_threadpool(self.answers.of_checkout, order_id, answer, user, request)
        try:
            order = await run_in_threadpool(self._order_of_cart, user, request, order_id)
            answer = await self._place(order, deadline)
        except BusinessError as refusal:
            return Answer.refusing(http_problem(refusal), INSTANCE)
        return await run_in_threadpool(self.answers.of_checkout, order_id, answer, user, request)

    async def _place(self, order: CheckoutInput, deadline: float) -> CheckoutAnswer | None:
        # What an earlier order of the same cart holds until it is paid is not missing, so that one is cancelled first.
        for earlier in await run_in_threadpool(self.orders.waiting_of_cart, order.customer_id, order.cart_id):
            await self.checkouts.supersede(earlier, order.customer_id)
        await run_in_threadpool(self._check_stock, order)
        async with self.limit.enter(self.settings.checkout_answer_seconds) as entry:
            if entry is not Entry.AT_ONCE:
                await run_in_threadpool(self._check_stock, order)
            if entry is Entry.TIMED_OUT:
                await self.checkouts.start(order)
            return await self.checkouts.place(order, max(_LEAST_PATIENCE, deadline - time.monotonic()))

    def _order_of_cart(self, user: Account, request: CheckoutRequest, order_id: str) -> CheckoutInput:
        cart = self.prices.current(user_owner(user.id), request.cart_version)
        now = self.prices.price(cart, request, user.id)
        if request.quote is not None:
            self.prices.check_quote(request.quote, now)
        if request.payment_method is None:
            self._check_covered(user.id, now.priced.total, request.currency)
        settings = self.settings
        return CheckoutInput(
            order_id=order_id,
            customer_id=user.id,
            email=user.email,
            cart_id=cart.id,
            cart_version=cart.version,
            lines=now.command.lines,
            shipping_address=request.shipping_address.message(),
            shipping_method=request.shipping_method,
            payment_method=request.payment_method,
            payment_return_url=request.payment_return_url,
            use_store_credit=request.use_store_credit,
            discount_code=request.discount_code,
            currency=request.currency,
            approved_total=now.priced.total,
            payment_retry_seconds=int(settings.payment_retry_minutes * 60),
            authentication_seconds=max(1, int(settings.payment_authentication_minutes * 60)),
            authorization_seconds=int(settings.authorization_days * 86_400),
            on_shortage=request.on_shortage,
            decision_seconds=max(1, int(settings.decision_hours * 3600)),
            review=ReviewRules(
                total_from=settings.risk_review_total,
                seconds=max(1, int(settings.risk_review_hours * 3600)),
                otherwise=settings.risk_review_otherwise,
            ),
        )

    def _check_covered(self, customer_id: str, total: int, currency: str) -> None:
        """A look that authorizes nothing; an order that finds less when it is placed waits for a payment method."""
        available = self.credit.available(customer_id, currency)
        if available < total:
            details = {
                "available": Money(amount=available, currency=currency).model_dump(),
                "total": Money(amount=total, currency=currency).model_dump(),
            }
            raise PaymentMethodRequired("Your store credit does not cover the order.", **details)

    def _check_stock(self, order: CheckoutInput) -> None:
        """A look that spares the workflow what cannot be had; only the workflow, which locks the rows, can promise."""
        demands = [Demand(line.sku, line.quantity) for line in order.lines]
        self.stock.check_shortage(demands, unless_partly=order.on_shortage is OnShortage.ASK)
