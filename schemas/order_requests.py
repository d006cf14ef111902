"""What customers and staff ask of a running order: to decide about a shortage, to cancel, to settle a compensation.

Each is a request of the API, and the update of CheckoutWorkflow that it becomes.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from schemas.base import Open, Payload, Quantity, Request, Sku, Text
from schemas.checkout import CancelledLine
from schemas.fulfilment import ParcelOutcome


class Choice(StrEnum):
    """A customer's choice about an order that is partly out of stock."""

    TAKE_AVAILABLE = "take_available"
    WAIT = "wait"
    CANCEL = "cancel"


class DecisionRequest(Request):
    """`POST /v1/orders/{id}/decision`: take what is available, wait for everything, or cancel."""

    choice: Choice


class Decision(Payload):
    """The same with the actor (`customer:<id>`)."""

    choice: Open[Choice]
    actor: str


class LineToCancel(Request):
    """So many units of a SKU that the order no longer wants."""

    sku: Sku
    quantity: Annotated[Quantity, Field(ge=1)]


class CancelRequest(Request):
    """`POST /v1/orders/{id}/cancel`: all of it, or these lines."""

    reason: Annotated[str, StringConstraints(max_length=500)] = "changed my mind"
    lines: Annotated[list[LineToCancel], Field(min_length=1, max_length=100)] | None = None


class CancelOrder(Payload):
    """Cancel the order on behalf of an actor (`customer:<id>`, `staff:<id>:<role>` or `service:<client id>`).

    `only_waiting` means only while it waits for its customer: another checkout of the same cart replaces it. With
    `lines` these units alone.
    """

    actor: str
    reason: str
    only_waiting: bool = False
    lines: list[CancelledLine] = []


class BackorderRequest(Request):
    """`POST /v1/orders/{id}/backorder`: wait longer for what has not arrived, take the rest alone, or cancel."""

    choice: Choice


class ParcelSettlementRequest(Request):
    """`POST /v1/ops/orders/{id}/parcels/{number}`; `retry` has the carrier asked again."""

    outcome: ParcelOutcome
    reason: Text


class SettleParcel(Payload):
    """The same for one parcel, with the actor."""

    parcel: int
    outcome: Open[ParcelOutcome]
    actor: str
    reason: str


class AdoptionRequest(Request):
    """`POST /v1/ops/orders/{id}/adopt`."""

    reason: Text


class SettlementRequest(Request):
    """`POST /v1/ops/orders/{id}/compensation`."""

    reason: Text
    retry: Annotated[bool, Field(description="`true` retries the compensation; `false` records it as settled.")]


class SettleCompensation(Payload):
    """An operator's decision about steps that could not be compensated: retry, or settled manually."""

    actor: str
    reason: str
    retry: bool
