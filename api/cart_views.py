"""A cart as it is shown: its lines at current prices and availability, and what has changed about them."""

import hashlib

from adapters.carts.offers import Offers, offers_now
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.orders.stock import Stock
from domain.carts import Change, Standing, changes_of
from domain.money import Money as DomainMoney
from schemas.base import Money
from schemas.carts import Cart, CartChangeView, CartLineView, CartOffer, CartView

_GONE = Standing(None, available=False)


def cart_view(cart: Cart, catalog: Catalog, stock: Stock) -> CartView:
    """The cart at this moment's prices, asked of MySQL."""
    return shown_cart(cart, offers_now(catalog, stock, cart.items.keys()))


def shown_cart(cart: Cart, offers: Offers) -> CartView:
    """The cart with names, prices and whether each line can be had in that quantity."""
    lines = [_line(sku, quantity, offers.get(sku)) for sku, quantity in cart.items.items()]
    totals = [line.line_total for line in lines if line.line_total is not None]
    currencies = {total.currency for total in totals}
    amount = sum(total.amount for total in totals)
    return CartView(
        id=cart.id,
        version=cart.version,
        items=lines,
        subtotal=Money(amount=amount, currency=currencies.pop()) if len(currencies) == 1 else None,
        changes=[_change(one) for sku in cart.items for one in _changes(cart, sku, offers.get(sku))],
        updated_at=cart.updated_at,
    )


def state_of(view: CartView) -> str:
    """A name for what is shown: the cart's version, and a digest of the changes not acknowledged, if any."""
    if not view.changes:
        return str(view.version)
    changes = "".join(one.model_dump_json() for one in view.changes)
    return f"{view.version}-{hashlib.sha256(changes.encode()).hexdigest()[:12]}"


def _line(sku: str, quantity: int, offer: CartOffer | None) -> CartLineView:
    price = offer.price if offer is not None else None
    return CartLineView(
        sku=sku,
        name=offer.name if offer is not None else sku,
        quantity=quantity,
        unit_price=price,
        line_total=None if price is None else Money(amount=price.amount * quantity, currency=price.currency),
        available=offer is not None and offer.has(quantity),
    )


def _changes(cart: Cart, sku: str, offer: CartOffer | None) -> list[Change]:
    now = _GONE if offer is None else offer.standing(cart.items[sku])
    return changes_of(sku, cart.seen[sku].standing, now)


def _change(change: Change) -> CartChangeView:
    before, after = (Money.of(one) if isinstance(one, DomainMoney) else one for one in (change.before, change.after))
    return CartChangeView.model_validate({"sku": change.sku, "kind": change.kind, "from": before, "to": after})
