"""Changing the address of an order: the request, the update, what is recorded, and the signals to its parcels."""

from typing import Annotated

from pydantic import Field

from schemas.addresses import ShippingAddress
from schemas.base import Address, Payload, Request
from schemas.parcels import ParcelPlan
from schemas.payments import PaymentMethodToken, ReturnUrl


class AddressChangeRequest(Request):
    """`POST /v1/orders/{id}/address`; with a payment method the order may cost more there."""

    shipping_address: ShippingAddress
    payment_method: Annotated[
        PaymentMethodToken | None, Field(description="Pays for all of the order where it costs more at this address.")
    ] = None
    payment_return_url: ReturnUrl | None = None


class ChangeAddress(Payload):
    """The same with the actor (`customer:<id>`, `staff:<id>:<role>` or `service:<client id>`)."""

    address: Address
    actor: str
    payment_method: str | None = None
    payment_return_url: str | None = None


class AddressAnswer(Payload):
    """The answer to ChangeAddress: with a `code` the address stays as it was, and `message` says why."""

    code: str | None = None
    message: str | None = None
    details: dict[str, object] = {}


class RecordAddress(Payload):
    """Write the address, what the order then costs, and the event, in one transaction; repeat-safe by `step`.

    `authorized_total`, in minor units, is what the order may cost there; without it, no more than before.
    """

    order_id: str
    step: str
    address: Address
    actor: str
    authorized_total: int | None = None


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
