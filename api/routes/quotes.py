"""Quotes: what the cart would cost, before it is ordered."""

from typing import Annotated

from fastapi import APIRouter, Body

from api.cart_prices import current_cart, price_cart
from api.deps import All
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
    wanted: Annotated[QuoteRequest, Body(openapi_examples=_EXAMPLES)], owner: Owner, asker: SignedIn, everything: All
) -> QuoteView:
    """What my cart costs, with what each way of shipping would. Nothing is kept or reserved.

    Send `quote` with the checkout: while it holds, the order never costs more than it says.
    """
    cart = current_cart(everything, owner, wanted.cart_version)
    return price_cart(everything, cart, wanted, asker.id if asker else None).quote(everything)
