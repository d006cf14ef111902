"""The carrier's API: the fields of a booking, the statuses of a shipment, its errors."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

Json = dict[str, Any]

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Service = Literal["standard", "express", "pickup"]
Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]

# The statuses of a parcel that is delivered; "cancelled" can follow the first, and what can go wrong the others.
STATUSES = ("booked", "dispatched", "in_transit", "out_for_delivery", "delivered")
# A recipient may refuse a parcel, which then comes back; so may the carrier's driver, who then never takes it.
TROUBLE = ("exception", "refused", "returned", "lost")
FINAL = ("cancelled", "delivered", "returned", "lost")

# Special postal codes: the first cannot be delivered to; parcels to the second move only by `advance`; to the third
# goes express alone.
UNDELIVERABLE_POSTAL_CODE = "00000"
WAITING_POSTAL_CODE = "11111"
EXPRESS_ALONE_POSTAL_CODE = "22222"


class Origin(BaseModel):
    """Where the parcels are picked up."""

    country: Country
    warehouse: Text


class Destination(BaseModel):
    """Where the parcels go."""

    name: Text
    line1: Text
    line2: str | None = Field(default=None, max_length=200)
    city: Text
    region: str | None = Field(default=None, max_length=100)
    postal_code: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20)]
    country: Country


class Item(BaseModel):
    """Some pieces of one product."""

    sku: Text
    quantity: int = Field(ge=1, le=100_000)


class Parcel(BaseModel):
    """One parcel."""

    weight_grams: int = Field(ge=1, le=1_000_000)
    items: list[Item] = Field(min_length=1)


class Shipment(BaseModel):
    """What is shipped, from where to where: POST /v1/rates."""

    reference: Text
    ship_from: Origin
    ship_to: Destination
    parcels: list[Parcel] = Field(min_length=1, max_length=50)


class Booking(Shipment):
    """POST /v1/shipments: by a rate that was quoted for it, or by a service at whatever it costs."""

    service: Service | None = None
    rate: Text | None = None

    @model_validator(mode="after")
    def _by_one_of_both(self) -> Self:
        if (self.service is None) == (self.rate is None):
            raise ValueError("name a rate or a service")
        return self


class Advance(BaseModel):
    """How far to move a parcel; every status between gets its event, unless they get lost."""

    to: Literal["dispatched", "in_transit", "out_for_delivery", "delivered", "exception", "refused", "returned", "lost"]
    # The events then arrive newest first.
    reversed: bool = False
    # No webhook is ever sent of these moves; who asks learns of them.
    silent: bool = False


class Resend(BaseModel):
    """Which events to send again (all when left out), in the order given, each under its first id."""

    sequences: list[int] | None = None
    times: int = Field(default=1, ge=1, le=100)


class CarrierError(Exception):
    """A refusal: an HTTP status and a code a program can act on."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"code": code, "message": message, **more}
