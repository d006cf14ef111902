"""Words and rules of the catalog: what state a product is in, how it is taxed, what it costs at a moment."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)
"""When a price begins that nobody gave a beginning: before every price that has one, which therefore overrules it."""


class ProductStatus(StrEnum):
    """Drafts are being prepared, archived products are kept for the orders that name them; neither is for sale."""

    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


class TaxClass(StrEnum):
    """Which of a country's rates applies."""

    STANDARD = "standard"
    REDUCED = "reduced"
    ZERO = "zero"


class PriceWindow(Protocol):
    """An amount in minor units that holds from a moment on, up to but not including another."""

    @property
    def amount(self) -> int: ...
    @property
    def valid_from(self) -> datetime: ...
    @property
    def valid_to(self) -> datetime | None: ...


@dataclass(frozen=True)
class PriceNow:
    """What something costs at a moment, in minor units.

    While a temporary price holds, `regular` is what it would cost without it (None when nothing else holds) and
    `until` is when it ends.
    """

    amount: int
    regular: int | None = None
    until: datetime | None = None


def price_at(windows: Iterable[PriceWindow], moment: datetime) -> PriceNow | None:
    """Of the prices of one SKU and currency that hold at the moment, the latest begun; None when none holds."""
    holding = [one for one in windows if one.valid_from <= moment and (one.valid_to is None or moment < one.valid_to)]
    if not holding:
        return None
    counts = max(holding, key=lambda one: one.valid_from)
    if counts.valid_to is None:
        return PriceNow(counts.amount)
    lasting = max((one for one in holding if one.valid_to is None), key=lambda one: one.valid_from, default=None)
    return PriceNow(counts.amount, lasting.amount if lasting else None, counts.valid_to)


def is_gtin(digits: str) -> bool:
    """Whether it is a GTIN-8, -12 (UPC), -13 (EAN) or -14 with a right check digit."""
    if len(digits) not in (8, 12, 13, 14) or not digits.isascii() or not digits.isdecimal():
        return False
    weighed = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return weighed % 10 == 0


def variant_name(product: str, options: dict[str, str]) -> str:
    """What a line of a cart or an order calls a variant: `Alba pan, 28 cm, red`."""
    return ", ".join([product, *options.values()])
