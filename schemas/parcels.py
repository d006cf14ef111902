"""Parcels of an order: what is planned for a warehouse, and how customers see it."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from domain.fulfilment import Demand, ParcelStatus
from domain.parcels import Goods, PlannedParcel, without
from schemas.base import Money, Open, Payload
from schemas.parcel_resolutions import ParcelResolution
from schemas.stock import Warehouse


class ParcelPlan(Payload):
    """The part of the order that one warehouse, in `country`, ships. `amount` is its share of the order's total.

    With `pick_required` it is booked only once staff have confirmed what they have picked. With `replaces` it is
    shipped in the place of that parcel, which was lost or returned and keeps its share.
    """

    number: int
    warehouse: str
    country: str
    lines: list["ParcelLine"]
    amount: int
    weight_grams: int
    pick_required: bool = False
    replaces: int | None = None

    @classmethod
    def of(cls, parcel: PlannedParcel, warehouse: Warehouse) -> Self:
        """The plan of a parcel that leaves from this warehouse."""
        return cls(
            number=parcel.number,
            warehouse=parcel.warehouse,
            country=warehouse.country,
            lines=[
                ParcelLine(sku=one.sku, quantity=one.quantity, backordered=one.quantity if one.backordered else 0)
                for one in parcel.contents
            ],
            amount=parcel.share.amount,
            weight_grams=parcel.share.weight_grams,
            pick_required=warehouse.pick_required,
        )

    @property
    def waits_before_booking(self) -> bool:
        """Whether it may be booked long after the order was placed: it waits for goods, or for its pick."""
        return self.pick_required or self.backordered > 0

    @property
    def contents(self) -> Counter[str]:
        """Units by SKU."""
        return Counter({line.sku: line.quantity for line in self.lines})

    @property
    def backordered(self) -> int:
        """Units on backorder when the order was placed: the parcel waits for them."""
        return sum(line.backordered for line in self.lines)

    def without(self, units: Mapping[str, int], goods: Mapping[str, Goods]) -> Self:
        """The plan without these units, at most one line each, and its share of the total without their value."""
        contents = [Demand(line.sku, line.quantity) for line in self.lines]
        share = without(contents, units, goods, self.amount)
        left = [line.without(units.get(line.sku, 0)) for line in self.lines]
        lines = [line for line in left if line.quantity]
        return self.model_copy(update={"lines": lines, "amount": share.amount, "weight_grams": share.weight_grams})


class ParcelLine(Payload):
    """A line of a parcel; `backordered` of its units have to arrive in the warehouse first."""

    sku: str
    quantity: int
    backordered: int = 0

    def without(self, units: int) -> Self:
        """The line without so many units, those on backorder first."""
        backordered = max(0, self.backordered - units)
        return self.model_copy(update={"quantity": self.quantity - units, "backordered": backordered})


class ParcelShipment(Payload):
    """By which service the carrier takes a parcel, what that costs the shop, and where its label is."""

    service: str | None = None
    cost: Money | None = None
    label_url: str | None = None


class ParcelView(Payload):
    """A parcel of an order; `resolution` says what was done about one that could not be delivered."""

    number: int
    warehouse: str
    status: Open[ParcelStatus]
    tracking_number: str | None = None
    tracking_url: str | None = None
    shipment: Annotated[
        ParcelShipment | None, Field(description="The carrier's booking of it, while there is one; for staff alone.")
    ] = None
    ship_by: Annotated[datetime | None, Field(description="Until when it is to be dispatched.")] = None
    late: Annotated[bool, Field(description="Whether it was not dispatched by then.")] = False
    backordered_until: Annotated[
        datetime | None, Field(description="Until when it waits for its goods; they are cancelled after that.")
    ] = None
    lines: list[ParcelLine]
    replaces: Annotated[int | None, Field(description="The parcel in whose place it is shipped.")] = None
    resolution: ParcelResolution | None = None
