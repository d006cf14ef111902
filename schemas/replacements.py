"""Parcels that are shipped in the place of another."""

from schemas.base import Payload
from schemas.fulfilment import FulfilmentInput
from schemas.stock import StockAllocated


class ParcelReplaced(Payload):
    """What is shipped in the place of a parcel: the input of its workflow, none once it has come to its end.

    And the parcels of other orders that are complete with the goods that are back in stock.
    """

    job: FulfilmentInput | None = None
    allocated: list[StockAllocated] = []
