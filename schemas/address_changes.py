"""Changing the address of an order: the request, the update, what is recorded, and the signals to its parcels."""

from schemas.addresses import ShippingAddress
from schemas.base import Address, Payload, Request
from schemas.parcels import ParcelPlan


class AddressChangeRequest(Request):
    """`POST /v1/orders/{id}/address`."""

    shipping_address: ShippingAddress


class ChangeAddress(Payload):
    """The same with the actor (`customer:<id>`, `staff:<id>:<role>` or `service:<client id>`)."""

    address: Address
    actor: str


class AddressAnswer(Payload):
    """The answer to ChangeAddress: with a `code` the address stays as it was, and `message` says why."""

    code: str | None = None
    message: str | None = None
    details: dict[str, object] = {}


class RecordAddress(Payload):
    """Write the address, what the order then costs, and the event, in one transaction; repeat-safe by `step`."""

    order_id: str
    step: str
    address: Address
    actor: str


class AddressRecorded(Payload):
    """The order's parcels that were not stopped, each with its share of what the order costs now."""

    parcels: list[ParcelPlan]


class HoldForAddress(Payload):
    """The order is about to change its address: the parcel is not booked until it is released."""

    step: str


class NewAddress(Payload):
    """The parcel may be booked again; with an `address`, to that one, by this `plan`."""

    address: Address | None = None
    plan: ParcelPlan | None = None
