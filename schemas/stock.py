"""Stock: what is posted and shown of it, and what orders hold."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from domain.stock import MovementKind
from schemas.base import Payload, Request, Text

MOST_UNITS = 1_000_000
PostedKind = Literal["received", "adjusted", "restocked"]


class StockAllocated(Payload):
    """A parcel that waited for goods has all of them now."""

    order_id: str
    parcel: int


class ReleaseStock(Payload):
    """Give back whatever the order still holds; repeat-safe."""

    order_id: str
    actor: str
    reason: str


class StockReleased(Payload):
    """So many units went back on sale, or to those who waited for them."""

    units: int
    arrived: list[StockAllocated] = []


class ExtendReservation(Payload):
    """Hold the order's stock for another while."""

    order_id: str


class ReservationExtended(Payload):
    """For how many seconds from now it is held; 0 when nothing is held any more."""

    reservation_seconds: int


class CheckAllocation(Payload):
    """Ask what a parcel still lacks."""

    order_id: str
    parcel: int


class AllocationMissing(Payload):
    """Units that have yet to arrive before the parcel can leave."""

    units: int


class StockLevel(Payload):
    """One SKU in one warehouse, in units; available = on_hand - reserved."""

    sku: str
    warehouse: str
    on_hand: int
    reserved: int
    available: int
    backordered: Annotated[int, Field(description="Units that orders wait for here.")] = 0


class StockTotals(Payload):
    """The same over all warehouses."""

    on_hand: int
    reserved: int
    available: int
    backordered: int


class StockRules(Payload):
    """What the shop wants of a SKU."""

    backorderable: Annotated[bool, Field(description="Whether it may be sold beyond what is there.")] = False
    low_stock_at: Annotated[int, Field(description="Tell when so few units, or fewer, are available; 0: never.")] = 0


class SkuStock(Payload):
    """`GET /v1/stock/{sku}`: every warehouse that has, or had, the SKU."""

    sku: str
    items: list[StockLevel]
    totals: StockTotals
    rules: StockRules
    next_cursor: str | None = None


class SetStockRules(Request):
    """`PATCH /v1/stock/{sku}`: what is left out stays as it is."""

    backorderable: Annotated[bool, Field(strict=True)] | None = None
    low_stock_at: Annotated[int, Field(ge=0, le=MOST_UNITS, strict=True)] | None = None

    @model_validator(mode="after")
    def _nothing_is_unset(self) -> Self:
        if empty := sorted(name for name in self.model_fields_set if getattr(self, name) is None):
            raise ValueError(f"{', '.join(empty)} cannot be null; leave it out to keep it")
        return self


class NewMovement(Request):
    """`POST /v1/stock/{sku}/movements`: units that came, came back, or were counted."""

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
        Field(description="Required for what was restocked, and only there: the order it came back from."),
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
    kind: MovementKind
    quantity: int
    order_id: str | None = None
    reason: str | None = None
    actor: str
    occurred_at: datetime


class MovementPosted(Payload):
    """The ledger row, and the parcels whose goods are complete with it."""

    movement: Movement
    arrived: list[StockAllocated] = []


class MovementPage(Payload):
    """A keyset page of the ledger, newest first."""

    items: list[Movement]
    next_cursor: str | None = None


class Warehouse(Payload):
    """A place we ship from; the lowest `preference` ships first."""

    code: str
    name: str
    country: str
    preference: int


class WarehouseList(Payload):
    """All warehouses, the preferred one first."""

    items: list[Warehouse]
    next_cursor: str | None = None
