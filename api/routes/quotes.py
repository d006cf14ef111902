"""Quotes: what the cart would cost, before it is ordered."""

from typing import Annotated

from fastapi import APIRouter, Body

from api.deps import Prices
from api.errors import problems
from api.identity import SignedIn
from api.permissions import require
from api.routes.carts import Owner
from schemas.quotes import QuoteRequest, QuoteView

router = APIRouter(prefix="/v1/quotes", tags=["checkout"], dependencies=[require("cart:use")])
_EXAMPLES = {
    "country": {"value": {"country": "DE", "shipping_method": "standard"}},
    "voucher": {"value": {"country": "AT", "shipping_method": "express", "discount_code": "SPRING-26"}},
}


@router.post("", responses=problems(401, 409, 422, 503))
def quote_cart(
    body: Annotated[QuoteRequest, Body(openapi_examples=_EXAMPLES)], owner: Owner, asker: SignedIn, prices: Prices
) -> QuoteView:
    """What your cart costs, with the price of each shipping method. Nothing is stored or reserved.

    Send `quote` with the checkout: until it expires, the order never costs more than quoted.
    """
    cart = prices.current(owner, body.cart_version)
    return prices.quote(prices.price(cart, body, asker.id if asker else None))
