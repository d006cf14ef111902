"""The cart: whole in every answer, its version in the ETag."""

import re
import secrets
from collections.abc import Callable, Collection
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from adapters.carts.store import CartStore, ChangeRequest
from api.cart_views import shown_cart
from api.deps import AppSettings, CartDesk, services_of
from api.errors import HttpProblem, problems
from api.identity import signed_in
from api.permissions import CurrentPrincipal, not_signed_in, require
from domain.carts import guest_owner, user_owner
from domain.errors import BusinessError, CartChanged, InsufficientStock, UnknownProduct
from schemas.carts import AddToCart, Cart, CartOffer, CartView, GuestToken, SetQuantity

router = APIRouter(prefix="/v1/cart", tags=["cart"], dependencies=[require("cart:use")])
merging = APIRouter(prefix="/v1/cart", tags=["cart"])
_GUEST_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,128}")
_SKU = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,63}")
_ETAG = re.compile(r'(?:W/)?"(\d{1,9})"')
_REFUSALS = problems(400, 401, 409, 422, 503)
_EXAMPLE = {"sku": "KIT-SAL-0050", "quantity": 2}


def guest_of(token: str) -> str:
    """Whose cart a guest's token stands for; one that could be guessed is refused."""
    if not _GUEST_TOKEN.fullmatch(token):
        detail = "A cart token is 32 to 128 random characters of A-Z a-z 0-9 _ -."
        raise HttpProblem(400, "invalid_cart_token", detail)
    return guest_owner(token)


async def _owner(request: Request, x_cart_token: Annotated[str | None, Header()] = None) -> str:
    asker = await signed_in(request)
    if asker is not None:
        return user_owner(asker.id)
    if x_cart_token is None:
        raise not_signed_in()
    return guest_of(x_cart_token)


async def _asked(
    if_match: Annotated[str | None, Header()] = None, idempotency_key: Annotated[str | None, Header()] = None
) -> ChangeRequest:
    key = idempotency_key.strip() if idempotency_key is not None else None
    if key is not None and not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise HttpProblem(400, "idempotency_key_invalid", "An Idempotency-Key has 1 to 255 printable characters.")
    if if_match is None or if_match.strip() == "*":
        return ChangeRequest(None, key)
    tag = _ETAG.fullmatch(if_match.strip())
    if tag is None:
        raise HttpProblem(400, "invalid_if_match", 'If-Match takes one ETag of this cart, for instance "3".')
    return ChangeRequest(int(tag[1]), key)


Owner = Annotated[str, Depends(_owner)]
UnderVersion = Annotated[ChangeRequest, Depends(_asked)]
Line = Annotated[str, Path(description="a SKU")]


class _Desk:
    """Does what is asked with the cart and answers with it, also when it is refused because it has changed."""

    def __init__(self, desk: CartDesk, response: Response) -> None:
        self._response = response
        self._offers = desk.offers
        self._store = desk.store
        self.carts = desk.warm

    async def show(self, cart: Cart) -> CartView:
        self._response.headers["ETag"] = f'"{cart.version}"'
        return shown_cart(cart, await self._offers.of(cart.items.keys()))

    async def change(self, deed: Callable[[CartStore], Cart]) -> CartView:
        try:
            return await self.show(await run_in_threadpool(deed, self._store))
        except CartChanged as error:
            cart = error.details.get("cart")
            details: dict[str, Any] = {"cart": await self.show(cart)} if isinstance(cart, Cart) else {}
            raise CartChanged(error.message, **details) from error

    async def change_line(self, sku: str, deed: Callable[[CartStore, CartOffer], Cart]) -> CartView:
        """By what is known of the SKU; before it is refused for that, by what MySQL says."""
        refusal: BusinessError = UnknownProduct("This product is not for sale.", sku=sku)
        for look in (self._offers.of, self._offers.fresh) if _SKU.fullmatch(sku) else ():
            offer = (await look([sku])).get(sku)
            if offer is None or offer.price is None:
                continue
            try:
                return await self.change(lambda store, offer=offer: deed(store, offer))  # type: ignore[misc]
            except InsufficientStock as error:
                refusal = error
        raise refusal

    async def offers(self, skus: Collection[str]) -> dict[str, CartOffer]:
        return await self._offers.of(skus)


async def _desk(request: Request, response: Response) -> _Desk:
    return _Desk(services_of(request).cart_desk, response)


Desk = Annotated[_Desk, Depends(_desk)]


@router.get("", responses=problems(400, 401, 503))
async def read_cart(owner: Owner, desk: Desk) -> CartView:
    """My cart with today's prices, and what has changed since I last took note of them."""
    return await desk.show(await desk.carts.get(owner))


@router.post("/items", responses=_REFUSALS)
async def add_to_cart(
    wanted: Annotated[AddToCart, Body(openapi_examples={"two": {"value": _EXAMPLE}})],
    owner: Owner,
    asked: UnderVersion,
    desk: Desk,
) -> CartView:
    """Have so many units more of a SKU in the cart. With an Idempotency-Key a repeat adds nothing."""
    return await desk.change_line(wanted.sku, lambda store, offer: store.add(owner, offer, wanted.quantity, asked))


@router.put("/items/{sku}", responses=_REFUSALS)
async def set_cart_quantity(
    sku: Line,
    wanted: Annotated[SetQuantity, Body(openapi_examples={"two": {"value": {"quantity": 2}}})],
    owner: Owner,
    asked: UnderVersion,
    desk: Desk,
) -> CartView:
    """Have so many units of a SKU in the cart, however many there were; more than can be had is refused."""
    return await desk.change_line(sku, lambda store, offer: store.set_quantity(owner, offer, wanted.quantity, asked))


@router.delete("/items/{sku}", responses=_REFUSALS)
async def remove_from_cart(sku: Line, owner: Owner, asked: UnderVersion, desk: Desk) -> CartView:
    """Have none of a SKU in the cart."""
    return await desk.change(lambda store: store.remove(owner, sku, asked))


@router.delete("", responses=_REFUSALS)
async def clear_cart(owner: Owner, asked: UnderVersion, desk: Desk) -> CartView:
    """Empty the cart."""
    return await desk.change(lambda store: store.clear(owner, asked))


@router.post("/acknowledge", responses=_REFUSALS)
async def acknowledge_cart(owner: Owner, asked: UnderVersion, desk: Desk) -> CartView:
    """Take note of all `changes`: from now on they are told against today's prices.

    With If-Match only if the cart is as it was shown. A line is also taken note of by setting its quantity.
    """
    offers = await desk.offers((await desk.carts.get(owner)).items)
    return await desk.change(lambda store: store.acknowledge(owner, offers, asked))


@router.post("/guest-token", status_code=201, responses=problems(401, 503))
async def issue_guest_token(response: Response, settings: AppSettings) -> GuestToken:
    """A token for a guest's cart, to be sent as `X-Cart-Token`; nothing is kept until something is put into it."""
    response.headers["Cache-Control"] = "no-store"
    return GuestToken(token=secrets.token_urlsafe(32), days=settings.guest_cart_days)


@merging.post("/merge", dependencies=[require("cart:merge")], responses=problems(400, 401, 403, 409, 422, 503))
async def merge_carts(
    asker: CurrentPrincipal,
    x_cart_token: Annotated[str, Header(description="the guest's token")],
    desk: Desk,
) -> CartView:
    """Move the lines of the guest I was into my cart. A repeat moves nothing twice; the guest's cart is empty then.

    Quantities are added up to what a cart takes and what can be had.
    """
    guest = guest_of(x_cart_token)
    offers = await desk.offers((await desk.carts.get(guest)).items)
    return await desk.change(lambda store: store.merge(user_owner(asker.id), guest, offers))
