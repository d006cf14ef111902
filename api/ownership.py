"""Whose order it is: found and allowed in one place, and another's is told apart from none nowhere."""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from api.deps import Keys, Orders
from api.errors import HttpProblem
from api.permissions import CurrentPrincipal, CurrentUser, may
from domain.errors import NotFound
from schemas.orders import OrderView

UUID_FORM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class UnrecordedOrder:
    """An order the customer has placed that is not in the books yet."""

    id: str


def _own_order(order_id: str, asker: CurrentPrincipal, orders: Orders, keys: Keys) -> OrderView | UnrecordedOrder:
    if not UUID_FORM.fullmatch(order_id):
        raise NotFound("There is no such order.")
    order = orders.get(order_id)
    if order is not None and (order.customer_id == asker.id or may(asker, "orders:read_any")):
        return order
    if order is None:
        owned = keys.owner_of(order_id)
        if owned is not None and owned.principal == asker.name and not owned.answered:
            return UnrecordedOrder(order_id)
    raise NotFound("There is no such order.")


OwnOrder = Annotated[OrderView | UnrecordedOrder, Depends(_own_order)]


def _current_order(order: OwnOrder) -> OrderView:
    if isinstance(order, UnrecordedOrder):
        detail = "The order is still being placed; try again shortly."
        raise HttpProblem(409, "order_pending", detail, {"Retry-After": "1"})
    return order


CurrentOrder = Annotated[OrderView, Depends(_current_order)]


def _customers_order(order: CurrentOrder, user: CurrentUser) -> OrderView:
    if order.customer_id != user.id:
        raise NotFound("There is no such order.")
    return order


CustomersOrder = Annotated[OrderView, Depends(_customers_order)]
"""The order of the customer who asks: staff may see others', but not decide or pay for them."""
