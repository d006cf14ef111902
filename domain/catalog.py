"""Rules of the catalog: a product's status, its tax class and its price at a moment."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)
"""When a price without a beginning begins: before every price that has one, which therefore overrides it."""


class ProductStatus(StrEnum):
    """Drafts are being prepared, archived products remain for the orders that contain them; neither is for sale."""

    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


class TaxClass(StrEnum):
    """Which of a country's tax rates applies."""

    STANDARD = "standard"
    REDUCED = "reduced"
    ZERO = "zero"


class PriceWindow(Protocol):
    """An amount in minor units, valid from a moment up to but not including another."""

    @property
    def amount(self) -> int: ...
    @property
    def valid_from(self) -> datetime: ...
    @property
    def valid_to(self) -> datetime | None: ...


@dataclass(frozen=True)
class PriceNow:
    """The price at a moment, in minor units.

    While a temporary price is valid, `regular` is the price without it (None when there is none) and `until` is when
    it ends.
    """

    amount: int
    regular: int | None = None
    until: datetime | None = None


def price_at(windows: Iterable[PriceWindow], moment: datetime) -> PriceNow | None:
    """Of a SKU's prices in one currency that are valid at the moment, the one that began last; None when none is."""
    holding = [one for one in windows if one.valid_from <= moment and (one.valid_to is None or moment < one.valid_to)]
    if not holding:
        return None
    counts = max(holding, key=lambda one: one.valid_from)
    if counts.valid_to is None:
        return PriceNow(counts.amount)
    lasting = max((one for one in holding if one.valid_to is None), key=lambda one: one.valid_from, default=None)
    return PriceNow(counts.amount, lasting.amount if lasting else None, counts.valid_to)


def is_gtin(digits: str) -> bool:
    """Whether it is a GTIN-8, -12 (UPC), -13 (EAN) or -14 with a correct check digit."""
    if len(digits) not in (8, 12, 13, 14) or not digits.isascii() or not digits.isdecimal():
        return False
    weighed = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return weighed % 10 == 0


LONGEST_NAME = 200


def variant_name(product: str, options: dict[str, str]) -> str:
    """The name of a variant in carts and orders: `Alba pan, 28 cm, red`.

    No longer than any other name: the end is cut off one whose parts are longer together.
    """
    name = ", ".join([product, *options.values()])
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
