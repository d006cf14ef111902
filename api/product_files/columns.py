"""The columns of a CSV file of products: what each is called and what its cells mean."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from babel.numbers import is_currency

from api.product_files import cells
from api.product_files.lines import FileRefused
from schemas.problem_codes import ProblemCode

Parse = Callable[[str], Any]


def _text(cell: str) -> str:
    return cell


PRODUCT = "product"
SKU = "sku"
# Of the product, once or alike on all its rows. An empty cell of the first kind empties the field, of the second
# says nothing.
EMPTIABLE: dict[str, Parse] = {"description": _text, "images": cells.images}
NEEDED: dict[str, Parse] = {
    "name": _text,
    "brand": _text,
    "category": _text,
    "tax_class": _text,
    "status": _text,
    "popularity": cells.integer,
    "options": cells.names,
}
# Of one variant.
SIZES: dict[str, Parse] = {
    "length_mm": cells.integer,
    "width_mm": cells.integer,
    "height_mm": cells.integer,
    "barcode": _text,
}
OF_VARIANT: dict[str, Parse] = {"weight_grams": cells.integer, "active": cells.truth}
OPTION, PRICE, ATTRIBUTE = "option:", "price:", "attr:"
FIXED = (
    PRODUCT,
    "name",
    "description",
    "brand",
    "category",
    "tax_class",
    "status",
    "popularity",
    "options",
    SKU,
    "active",
    *("weight_grams", *SIZES),
    "images",
)
_KNOWN = frozenset(FIXED)
_MOST = 2000


@dataclass(frozen=True)
class Columns:
    """Where in a row each thing stands; the maps are from name to place."""

    titles: tuple[str, ...]
    product: int
    sku: int
    fixed: dict[str, int] = field(default_factory=dict)
    options: dict[str, int] = field(default_factory=dict)
    prices: dict[str, int] = field(default_factory=dict)
    attributes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, header: Sequence[str]) -> "Columns":
        """The columns a header names; raises FileRefused when they are not all known, or one is missing."""
        titles = [title.strip() for title in header]
        _check(titles)
        places = {title: place for place, title in enumerate(titles)}

        def beginning(prefix: str) -> dict[str, int]:
            return {title.removeprefix(prefix): at for title, at in places.items() if title.startswith(prefix)}

        return cls(
            titles=tuple(titles),
            product=places[PRODUCT],
            sku=places[SKU],
            fixed={title: place for title, place in places.items() if title in _KNOWN},
            options=beginning(OPTION),
            prices=beginning(PRICE),
            attributes=beginning(ATTRIBUTE),
        )

    @property
    def count(self) -> int:
        """How many cells a row has."""
        return len(self.titles)


def header_of(options: Iterable[str], currencies: Iterable[str], attributes: Iterable[str]) -> list[str]:
    """The header of an export."""
    return [
        *FIXED[: FIXED.index("images")],
        *(f"{OPTION}{name}" for name in options),
        *(f"{PRICE}{currency}" for currency in currencies),
        "images",
        *(f"{ATTRIBUTE}{name}" for name in attributes),
    ]


def _check(titles: Sequence[str]) -> None:
    if len(titles) == 1 and ";" in titles[0]:
        raise FileRefused(
            ProblemCode.WRONG_DELIMITER, "Columns are separated by commas, but the first line has semicolons."
        )
    if len(titles) > _MOST:
        raise FileRefused(ProblemCode.TOO_MANY_COLUMNS, f"A file has at most {_MOST} columns.")
    if missing := [title for title in (PRODUCT, SKU) if title not in titles]:
        raise FileRefused(ProblemCode.MISSING_COLUMNS, f"Missing columns: {', '.join(missing)}.", columns=missing)
    if unknown := [title for title in titles if not _is_known(title)]:
        shown = [title[:100] for title in unknown[:20]]
        raise FileRefused(
            ProblemCode.UNKNOWN_COLUMNS, f"Unknown columns: {', '.join(map(repr, shown))}.", columns=shown
        )
    if twice := sorted({title for title in titles if titles.count(title) > 1}):
        raise FileRefused(ProblemCode.DUPLICATE_COLUMNS, f"Columns named twice: {', '.join(twice)}.", columns=twice)


def _is_known(title: str) -> bool:
    if title.startswith(PRICE):
        currency = title.removeprefix(PRICE)
        return bool(re.fullmatch(r"[A-Z]{3}", currency)) and is_currency(currency)
    return title in _KNOWN or bool(re.fullmatch(rf"(?:{OPTION}|{ATTRIBUTE})\S.*", title))
