"""The cart: whole in every answer, its version in the ETag."""

import re
import secrets
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Response
from fastapi.concurrency import run_in_threadpool

from adapters.carts.offers import CartOffers
from adapters.carts.store import CartStore, ChangeRequest
from api.cart_views import shown_cart
from api.deps import AppSettings, CartCopies, Carts, Offers
from api.errors import HttpProblem, problems
from api.idempotency import INVALID_KEY
from api.identity import SignedIn
from api.permissions import CurrentPrincipal, not_signed_in, require
from domain.carts import guest_owner, user_owner
from domain.errors import BusinessError, CartChanged, InsufficientStock, UnknownProduct
from schemas.carts import AddToCart, Cart, CartOffer, CartView, GuestToken, SetQuantity
from schemas.problem_codes import ProblemCode

router = APIRouter(prefix="/v1/cart", tags=["cart"], dependencies=[require("cart:use")])
merging = APIRouter(prefix="/v1/cart", tags=["cart"])
_GUEST_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,128}")
_SKU = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,63}")
_ETAG = re.compile(r'(?:W/)?"(\d{1,9})"')
_REFUSALS = problems(400, 401, 409, 422, 503)
_EXAMPLE = {"sku": "KIT-SAL-0050", "quantity": 2}


def guest_of(token: str) -> str:
    """The owner that a guest's token stands for; a token that could be guessed is refused."""
    if not _GUEST_TOKEN.fullmatch(token):
        detail = "A cart token is 32 to 128 random characters of A-Z a-z 0-9 _ -."
        raise HttpProblem(400, ProblemCode.INVALID_CART_TOKEN, detail)
    return guest_owner(token)


async def _owner(asker: SignedIn, x_cart_token: Annotated[str | None, Header()] = None) -> str:
    if asker is not None:
        return user_owner(asker.id)
    if x_cart_token is None:
        raise not_signed_in()
    return guest_of(x_cart_token)


async def _under_version(
    if_match: Annotated[str | None, Header()] = None, idempotency_key: Annotated[str | None, Header()] = None
) -> ChangeRequest:
    key = idempotency_key.strip() if idempotency_key is not None else None
    if key is not None and not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise HttpProblem(400, ProblemCode.IDEMPOTENCY_KEY_INVALID, INVALID_KEY)
    if if_match is None or if_match.strip() == "*":
        return ChangeRequest(None, key)
    tag = _ETAG.fullmatch(if_match.strip())
    if tag is None:
        raise HttpProblem(400, ProblemCode.INVALID_IF_MATCH, 'If-Match takes one ETag of this cart, for instance "3".')
    return ChangeRequest(int(tag[1]), key)


Owner = Annotated[str, Depends(_owner)]
UnderVersion = Annotated[ChangeRequest, Depends(_under_version)]
Line = Annotated[str, Path(description="A SKU.")]


class _CartAnswers:
    """Changes the cart and answers with it, also when a change is refused because the cart has changed."""

    def __init__(self, store: CartStore, offers: CartOffers, response: Response) -> None:
        self._store = store
        self._offers = offers
        self._response = response

    async def show(self, cart: Cart) -> CartView:
        self._response.headers["ETag"] = f'"{cart.version}"'
        return shown_cart(cart, await self._offers.of(cart.items.keys()))

    async def change(self, action: Callable[[CartStore], Cart]) -> CartView:
        try:
            return await self.show(await run_in_threadpool(action, self._store))
        except CartChanged as error:
            cart = error.details.get("cart")
            details: dict[str, Any] = {"cart": await self.show(cart)} if isinstance(cart, Cart) else {}
            raise CartChanged(error.message, **details) from error

    async def change_line(self, sku: str, action: Callable[[CartStore, CartOffer], Cart]) -> CartView:
        """By the cached offer of the SKU; before it is refused for that, by what MySQL says."""
        refusal: BusinessError = UnknownProduct("This product is not for sale.", sku=sku)
        for look in (self._offers.of, self._offers.fresh) if _SKU.fullmatch(sku) else ():
            offer = (await look([sku])).get(sku)
            if offer is None or offer.price is None:
                continue
            try:
                return await self.change(lambda store, offer=offer: action(store, offer))  # type: ignore[misc]
            except InsufficientStock as error:
                refusal = error
        raise refusal


async def _cart_answers(store: Carts, offers: Offers, response: Response) -> _CartAnswers:
    return _CartAnswers(store, offers, response)


CartAnswers = Annotated[_CartAnswers, Depends(_cart_answers)]


@router.get("", responses=problems(400, 401, 503))
async def read_cart(owner: Owner, carts: CartCopies, answers: CartAnswers) -> CartView:
    """Your cart with current prices, and the changes you have not acknowledged yet."""
    return await answers.show(await carts.get(owner))


@router.post("/items", responses=_REFUSALS)
async def add_to_cart(
    body: Annotated[AddToCart, Body(openapi_examples={"two": {"value": _EXAMPLE}})],
    owner: Owner,
    change: UnderVersion,
    answers: CartAnswers,
) -> CartView:
    """Add units of a SKU to the cart. With an Idempotency-Key a repeat adds nothing."""
    return await answers.change_line(body.sku, lambda store, offer: store.add(owner, offer, body.quantity, change))


@router.put("/items/{sku}", responses=_REFUSALS)
async def set_cart_quantity(
    sku: Line,
    body: Annotated[SetQuantity, Body(openapi_examples={"two": {"value": {"quantity": 2}}})],
    owner: Owner,
    change: UnderVersion,
    answers: CartAnswers,
) -> CartView:
    """Set the quantity of a SKU in the cart; more than is available is refused."""
    return await answers.change_line(sku, lambda store, offer: store.set_quantity(owner, offer, body.quantity, change))


@router.delete("/items/{sku}", responses=_REFUSALS)
async def remove_from_cart(sku: Line, owner: Owner, change: UnderVersion, answers: CartAnswers) -> CartView:
    """Remove a SKU from the cart."""
    return await answers.change(lambda store: store.remove(owner, sku, change))


@router.delete("", responses=_REFUSALS)
async def clear_cart(owner: Owner, change: UnderVersion, answers: CartAnswers) -> CartView:
    """Empty the cart."""
    return await answers.change(lambda store: store.clear(owner, change))


@router.post("/acknowledge", responses=_REFUSALS)
async def acknowledge_cart(
    owner: Owner, change: UnderVersion, carts: CartCopies, offers: Offers, answers: CartAnswers
) -> CartView:
    """Acknowledge all `changes`: later ones are shown against current prices.

    With If-Match only if the cart is as it was shown. Setting a line's quantity acknowledges that line as well.
    """
    current = await offers.of((await carts.get(owner)).items)
    return await answers.change(lambda store: store.acknowledge(owner, current, change))


@router.post("/guest-token", status_code=201, responses=problems(401, 503))
async def issue_guest_token(response: Response, settings: AppSettings) -> GuestToken:
    """A token for a guest's cart, to be sent as `X-Cart-Token`; nothing is stored until the cart has an item."""
    response.headers["Cache-Control"] = "no-store"
    return GuestToken(token=secrets.token_urlsafe(32), days=settings.guest_cart_days)


@merging.post("/merge", dependencies=[require("cart:merge")], responses=problems(400, 401, 403, 409, 422, 503))
async def merge_carts(
    asker: CurrentPrincipal,
    x_cart_token: Annotated[str, Header(description="The guest's token.")],
    carts: CartCopies,
    offers: Offers,
    answers: CartAnswers,
) -> CartView:
    """Move the lines of a guest's cart into yours and empty the guest's. A repeat moves nothing twice.

    Quantities are added, up to the limit of a cart and to what is available.
    """
    guest = guest_of(x_cart_token)
    current = await offers.of((await carts.get(guest)).items)
    return await answers.change(lambda store: store.merge(user_owner(asker.id), guest, current))
