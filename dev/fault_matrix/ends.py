"""How an order may end where no other attempt mends what has happened to it."""

from collections.abc import Collection, Mapping

from dev.fault_matrix.cells import Cell
from dev.fault_matrix.faults import Kind
from domain.orders import FINAL_STATUSES, OrderStatus

_FAILED, _DELIVERED = OrderStatus.FAILED, OrderStatus.DELIVERED
# An error of its own data ends an order: what was done is compensated. These ends are others.
_AFTER_INVALID_DATA: Mapping[str, Collection[OrderStatus]] = {
    # Nothing was recorded, which the table calls cancelled.
    "price_order": [OrderStatus.CANCELLED],
    "place_order": [OrderStatus.CANCELLED],
    # Its parcel is on its way meanwhile: where the carrier has collected it, it goes on and is paid for.
    "complete_cart": [_FAILED, _DELIVERED],
    "record_parcel": [_FAILED, _DELIVERED],
    # Dispatched and not paid for: that waits for an operator, who can only settle it by hand.
    "capture_credit": [_FAILED, _DELIVERED],
    # Staff are refused their pick, and repeat it.
    "record_pick": [_DELIVERED],
    # The address stays, and the customer is answered why.
    "change_address": [_DELIVERED],
    # The reservation is not extended any more, and stands all the same as long as its order runs.
    "extend_reservation": [_DELIVERED],
    # A step of the compensation, or a parcel that is stopped: an operator has it tried again.
    "release_stock": [OrderStatus.CANCELLED],
    "void_credit": [OrderStatus.CANCELLED],
}


def right_ends(cell: Cell) -> Collection[OrderStatus]:
    """The statuses in which the order may end, unless it is cancelled; the oracle says whether the rest agrees."""
    if cell.fault.kind is Kind.ORDER_TERMINATED:  # adopted: what was not dispatched by then is stopped
        return FINAL_STATUSES
    if cell.fault.kind is Kind.INVALID_DATA:
        return _AFTER_INVALID_DATA.get(cell.fault.activity, [_FAILED])
    return [cell.scenario.ends]
