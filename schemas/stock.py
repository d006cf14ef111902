"""Stock: movements, levels and views, and the reservations of orders."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from domain.stock import MovementKind
from schemas.base import Open, Payload, Request, Text

MOST_UNITS = 1_000_000
PostedKind = Literal["received", "adjusted", "restocked"]


class StockAllocated(Payload):
    """All backordered goods of a parcel have arrived."""

    order_id: str
    parcel: int


class ReleaseStock(Payload):
    """Release what is still reserved for the order, or for some of its parcels; repeat-safe."""

    order_id: str
    actor: str
    reason: str
    parcels: list[int] | None = None


class StockReleased(Payload):
    """The units released: they are available again, or allocated to backorders."""

    units: int
    allocated: list[StockAllocated] = []


class ExtendReservation(Payload):
    """Extend the order's reservation."""

    order_id: str


class ReservationExtended(Payload):
    """The seconds from now until the reservation expires; 0 when nothing is reserved any more."""

    reservation_seconds: int


class CheckAllocation(Payload):
    """Find how many backordered units a parcel still waits for."""

    order_id: str
    parcel: int


class AllocationMissing(Payload):
    """Units that have to arrive before the parcel can be dispatched."""

    units: int


class StockLevel(Payload):
    """One SKU in one warehouse, in units; available = on_hand - reserved."""

    sku: str
    warehouse: str
    on_hand: int
    reserved: int
    available: int
    backordered: Annotated[int, Field(description="Units on backorder in this warehouse.")] = 0


class StockTotals(Payload):
    """The same over all warehouses."""

    on_hand: int
    reserved: int
    available: int
    backordered: int


class StockRules(Payload):
    """The stock settings of a SKU."""

    backorderable: Annotated[bool, Field(description="Whether it can be ordered when none is available.")] = False
    low_stock_at: Annotated[int, Field(description="Report low stock at this many available units; 0: never.")] = 0


class SkuStock(Payload):
    """`GET /v1/stock/{sku}`: every warehouse that has or had the SKU."""

    sku: str
    items: list[StockLevel]
    totals: StockTotals
    rules: StockRules
    next_cursor: str | None = None


class SetStockRules(Request):
    """`PATCH /v1/stock/{sku}`: fields left out stay as they are."""

    backorderable: Annotated[bool, Field(strict=True)] | None = None
    low_stock_at: Annotated[int, Field(ge=0, le=MOST_UNITS, strict=True)] | None = None

    @model_validator(mode="after")
    def _nothing_is_unset(self) -> Self:
        if empty := sorted(name for name in self.model_fields_set if getattr(self, name) is None):
            raise ValueError(f"{', '.join(empty)} cannot be null; leave it out to keep it")
        return self


class NewMovement(Request):
    """`POST /v1/stock/{sku}/movements`: units received, restocked or adjusted."""

    kind: PostedKind
    warehouse: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    quantity: Annotated[
        int,
        Field(ge=-MOST_UNITS, le=MOST_UNITS, strict=True, description="Units; negative only in an adjustment."),
    ]
    reason: Annotated[Text | None, Field(validate_default=True, description="Required for an adjustment.")] = None
    order_id: Annotated[
        str | None,
        Field(validate_default=True, pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
        Field(description="The order the units were returned from; required for `restocked`, and only there."),
    ] = None

    @field_validator("quantity")
    @classmethod
    def _some(cls, value: int, info: ValidationInfo) -> int:
        if value == 0:
            raise ValueError("a movement has at least one unit")
        if value < 0 and info.data.get("kind", MovementKind.ADJUSTED) != MovementKind.ADJUSTED:
            raise ValueError("only an adjustment can be negative")
        return value

    @field_validator("reason")
    @classmethod
    def _why(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("kind") == MovementKind.ADJUSTED:
            raise ValueError("an adjustment needs a reason")
        return value

    @field_validator("order_id")
    @classmethod
    def _whose(cls, value: str | None, info: ValidationInfo) -> str | None:
        restocked = info.data.get("kind") == MovementKind.RESTOCKED
        if restocked and value is None:
            raise ValueError("what is restocked came back from an order")
        if value is not None and not restocked and "kind" in info.data:
            raise ValueError("only what is restocked came back from an order")
        return value


class Movement(Payload):
    """One row of the ledger; `quantity` counts in the direction of `kind`, an adjustment may be negative."""

    id: int
    sku: str
    warehouse: str
    kind: Open[MovementKind]
    quantity: int
    order_id: str | None = None
    reason: str | None = None
    actor: str
    occurred_at: datetime


class MovementPosted(Payload):
    """The ledger row, and the parcels whose backordered goods have all arrived with it."""

    movement: Movement
    allocated: list[StockAllocated] = []


class MovementPage(Payload):
    """A keyset page of the ledger, newest first."""

    items: list[Movement]
    next_cursor: str | None = None


class Warehouse(Payload):
    """A location we ship from; the lowest `preference` ships first."""

    code: str
    name: str
    country: str
    preference: int
    pick_required: Annotated[
        bool, Field(description="Whether staff confirm what they have picked before a parcel is booked.")
    ] = False


class ChangeWarehouse(Request):
    """`PATCH /v1/warehouses/{code}`."""

    pick_required: Annotated[bool, Field(strict=True)]


class WarehouseList(Payload):
    """All warehouses, the preferred one first."""

    items: list[Warehouse]
    next_cursor: str | None = None
