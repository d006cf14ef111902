"""What is done about a parcel that its customer will never have: the request, the workflow's commands, the view."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.base import Money, Open, Payload, Request, Text
from schemas.stock import StockAllocated


class ResolutionAction(StrEnum):
    """What the customer gets instead of the parcel."""

    REFUND = "refund"
    SHIP_AGAIN = "ship_again"


class ParcelResolutionRequest(Request):
    """`POST /v1/ops/orders/{id}/parcels/{number}/resolution`."""

    action: ResolutionAction
    reason: Text
    restock: Annotated[
        bool, Field(description="The goods came back and can be sold again: put them back into stock.")
    ] = False


class ResolveParcel(Payload):
    """The input of ParcelResolutionWorkflow: the same, with the parcel and the actor."""

    order_id: str
    parcel: int
    action: ResolutionAction
    reason: str
    actor: str
    restock: bool = False


class ParcelResolution(Payload):
    """What was done about a parcel that was lost or returned; `resolved_at` is empty while it is under way.

    Without a `refund_id` nothing of a parcel that was to be refunded was left; `replacement` is the number of the one
    that is shipped in its place.
    """

    action: Open[ResolutionAction]
    refund_id: str | None = None
    amount: Money | None = None
    replacement: int | None = None
    restocked: bool = False
    resolved_at: datetime | None = None


class ResolutionOpened(Payload):
    """The answer that counts is recorded: the first, with its reason and actor. `is_closed`: it is carried out."""

    reason: str
    actor: str
    is_closed: bool = False


class WithdrawResolution(Payload):
    """It could not be carried out, and another may be given."""

    order_id: str
    parcel: int


class CloseResolution(Payload):
    """Record that it is carried out, and put the goods back into stock where that was wanted; repeat-safe."""

    order_id: str
    parcel: int
    refund_id: str | None = None
    amount: Money | None = None


class ResolutionClosed(Payload):
    """The parcels of other orders that are complete with the goods that are back in stock."""

    allocated: list[StockAllocated] = []


class ParcelResolutionAnswer(Payload):
    """The result: `action` is carried out, or `code` says why it is not."""

    action: ResolutionAction | None = None
    restock: bool = False
    code: str | None = None
    message: str | None = None
    details: dict[str, object] = {}
