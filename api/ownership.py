"""Whose order it is: another's order is answered like one that does not exist."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from api.deps import Keys, Orders
from api.errors import HttpProblem
from api.permissions import CurrentPrincipal, CurrentUser, may
from domain.errors import NotFound
from domain.ids import is_uuid
from schemas.orders import OrderView
from schemas.problem_codes import ProblemCode


@dataclass(frozen=True)
class UnrecordedOrder:
    """An order the customer has placed that is not recorded yet."""

    id: str


def _own_order(order_id: str, asker: CurrentPrincipal, orders: Orders, keys: Keys) -> OrderView | UnrecordedOrder:
    if not is_uuid(order_id):
        raise NotFound("There is no such order.")
    is_staff = may(asker, "orders:read_any")
    order = orders.get(order_id, for_staff=is_staff)
    if order is not None and (order.customer_id == asker.id or is_staff):
        return order
    if order is None:
        owned = keys.owner_of(order_id)
        if owned is not None and owned.principal == asker.name and not owned.answered:
            return UnrecordedOrder(order_id)
    raise NotFound("There is no such order.")


OwnOrder = Annotated[OrderView | UnrecordedOrder, Depends(_own_order)]


async def _current_order(order: OwnOrder) -> OrderView:
    if isinstance(order, UnrecordedOrder):
        detail = "The order is still being placed. Please try again shortly."
        raise HttpProblem(409, ProblemCode.ORDER_PENDING, detail, {"Retry-After": "1"})
    return order


CurrentOrder = Annotated[OrderView, Depends(_current_order)]


async def _customers_order(order: CurrentOrder, user: CurrentUser) -> OrderView:
    if order.customer_id != user.id:
        raise NotFound("There is no such order.")
    return order


CustomersOrder = Annotated[OrderView, Depends(_customers_order)]
"""The order of the customer who asks: staff may see others', but not decide or pay for them."""
