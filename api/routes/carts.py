"""The cart: whole in every answer, its version in the ETag."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Response

from adapters.carts import guest_owner, user_owner
from api.cart_views import cart_view
from api.deps import Carts, CatalogStore, StockStore
from api.errors import HttpProblem, problems
from api.identity import SignedIn
from api.permissions import not_signed_in, require
from domain.errors import CartChanged, UnknownProduct
from schemas.carts import Cart, CartView, SetQuantity

router = APIRouter(prefix="/v1/cart", tags=["cart"], dependencies=[require("cart:use")])
_GUEST_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,128}")
_ETAG = re.compile(r'(?:W/)?"(\d{1,9})"')
_REFUSALS = problems(401, 409, 422, 503)


def _owner(asker: SignedIn, x_cart_token: Annotated[str | None, Header()] = None) -> str:
    if asker is not None:
        return user_owner(asker.id)
    if x_cart_token is None:
        raise not_signed_in()
    if not _GUEST_TOKEN.fullmatch(x_cart_token):
        detail = "A cart token is 32 to 128 random characters of A-Z a-z 0-9 _ -."
        raise HttpProblem(400, "invalid_cart_token", detail)
    return guest_owner(x_cart_token)


def _expected_version(if_match: Annotated[str | None, Header()] = None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    tag = _ETAG.fullmatch(if_match.strip())
    if tag is None:
        raise HttpProblem(400, "invalid_if_match", 'If-Match takes one ETag of this cart, for instance "3".')
    return int(tag[1])


Owner = Annotated[str, Depends(_owner)]
ExpectedVersion = Annotated[int | None, Depends(_expected_version)]


class _Showing:
    """Answers with the cart, also when it is refused because it has changed."""

    def __init__(self, response: Response, catalog: CatalogStore, stock: StockStore) -> None:
        self._response = response
        self._catalog = catalog
        self._stock = stock

    def show(self, cart: Cart) -> CartView:
        self._response.headers["ETag"] = f'"{cart.version}"'
        return cart_view(cart, self._catalog, self._stock)

    def changed(self, error: CartChanged) -> CartChanged:
        cart = error.details.get("cart")
        details: dict[str, Any] = {"cart": self.show(cart)} if isinstance(cart, Cart) else {}
        return CartChanged(error.message, **details)


Showing = Annotated[_Showing, Depends()]


@router.get("", responses=problems(401, 503))
def read_cart(owner: Owner, carts: Carts, showing: Showing) -> CartView:
    """My cart with today's prices."""
    return showing.show(carts.get(owner))


@router.put("/items/{sku}", responses=_REFUSALS)
def set_cart_quantity(
    sku: str,
    wanted: Annotated[SetQuantity, Body(openapi_examples={"two": {"value": {"quantity": 2}}})],
    owner: Owner,
    expected: ExpectedVersion,
    carts: Carts,
    catalog: CatalogStore,
    showing: Showing,
) -> CartView:
    """Have so many units of a SKU in the cart, however many there were."""
    product = catalog.get(sku) if sku.isascii() else None
    if product is None or not product.active:
        raise UnknownProduct("This product is not for sale.", sku=sku)
    try:
        return showing.show(carts.set_quantity(owner, sku, wanted.quantity, expected))
    except CartChanged as error:
        raise showing.changed(error) from error


@router.delete("/items/{sku}", responses=_REFUSALS)
def remove_from_cart(sku: str, owner: Owner, expected: ExpectedVersion, carts: Carts, showing: Showing) -> CartView:
    """Have none of a SKU in the cart."""
    try:
        return showing.show(carts.remove(owner, sku, expected))
    except CartChanged as error:
        raise showing.changed(error) from error


@router.delete("", responses=_REFUSALS)
def clear_cart(owner: Owner, expected: ExpectedVersion, carts: Carts, showing: Showing) -> CartView:
    """Empty the cart."""
    try:
        return showing.show(carts.clear(owner, expected))
    except CartChanged as error:
        raise showing.changed(error) from error
