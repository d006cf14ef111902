"""Picking: what warehouse staff took from their shelves for a parcel, and what was missing there."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field

from schemas.base import Payload, Request, Sku
from schemas.checkout import units_of


class LineToPick(Request):
    """The units of a SKU that were really there; 0 when none was."""

    sku: Sku
    quantity: Annotated[int, Field(ge=0, le=999, strict=True)]


class PickRequest(Request):
    """`POST /v1/ops/orders/{id}/parcels/{number}/pick`: every SKU of the parcel, each once."""

    lines: Annotated[list[LineToPick], Field(min_length=1, max_length=500)]


class PickedLine(Payload):
    """So many units of a SKU: picked, or missing."""

    sku: str
    quantity: int


class PickParcel(Payload):
    """The update of FulfilmentWorkflow: what was picked, and by whom."""

    lines: list[PickedLine]
    actor: str

    @property
    def units(self) -> Counter[str]:
        """Units by SKU."""
        return units_of(self.lines)


class RecordPick(PickParcel):
    """Record the pick of a parcel and write off what was missing, in one transaction; a repeat changes nothing."""

    order_id: str
    number: int


class ParcelPicked(Payload):
    """What was picked of a parcel, and what of its contents was missing in the warehouse."""

    lines: list[PickedLine]
    missing: list[PickedLine] = []

    @classmethod
    def of(cls, contents: Mapping[str, int], picked: Counter[str]) -> "ParcelPicked":
        """The record of a pick of these contents."""
        missing = Counter(contents) - picked
        return cls(lines=_lines({sku: picked[sku] for sku in contents}), missing=_lines(missing))

    @property
    def units(self) -> Counter[str]:
        """Units by SKU that were picked."""
        return units_of(self.lines)


class PickPending(Payload):
    """A pick that has been accepted and is still being recorded."""

    order_id: str
    parcel: int


class LineWaiting(Payload):
    """So many units of a product to pick."""

    sku: str
    name: str
    quantity: int


class ParcelWaiting(Payload):
    """A parcel that waits for its pick; nothing of it says who the customer is."""

    order_id: str
    order_number: int
    parcel: int
    warehouse: str
    placed_at: datetime
    lines: list[LineWaiting]


class PickList(Payload):
    """`GET /v1/ops/picks`: the parcels of the oldest order first; `next_cursor` is None on the last page."""

    items: list[ParcelWaiting]
    next_cursor: str | None = None


def _lines(units: Mapping[str, int]) -> list[PickedLine]:
    return [PickedLine(sku=sku, quantity=quantity) for sku, quantity in sorted(units.items())]
