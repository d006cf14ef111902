"""What the seeded catalog is made of: departments, their things, and what the variants of a thing differ in.

All brands are fictitious.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.catalog import TaxClass


@dataclass(frozen=True)
class Range:
    """From, to."""

    low: int
    high: int


@dataclass(frozen=True)
class Choice:
    """One option of a thing; each value costs and weighs `step_percent` more than the one before."""

    name: str
    values: tuple[str, ...]
    step_percent: int = 0


@dataclass(frozen=True)
class Thing:
    """A kind of product: its category, its benefit, and the cents, grams and millimetres of an ordinary one.

    `kinds` go before its name, `varies` is what its variants differ in, `attributes` are what each can have.
    """

    name: str
    category: str
    benefit: str
    price: Range
    weight: Range
    size_mm: tuple[int, int, int]
    kinds: tuple[str, ...]
    varies: tuple[Choice, ...] = ()
    attributes: Mapping[str, tuple[str | int | bool, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Department:
    """A department; its products' codes start with `code`, `area` is the part of the shop it is in."""

    code: str
    area: str
    name: str
    brands: tuple[str, ...]
    series: tuple[str, ...]
    editions: tuple[str, ...]
    things: tuple[Thing, ...]
    tax_class: TaxClass = TaxClass.STANDARD


TECH_EDITIONS = ("", "2", "3", "SE")
SOFT_EDITIONS = ("", "Signature", "Archive", "Limited")
FOOD_EDITIONS = ("", "Reserve", "Harvest", "Organic")

TECH_COLOURS = Choice("colour", ("Black", "White", "Graphite", "Silver", "Navy", "Sand"))
HOME_COLOURS = Choice("colour", ("Natural", "Charcoal", "Terracotta", "Off-White", "Moss", "Dusty Rose"))
KITCHEN_COLOURS = Choice("colour", ("Black", "Cream", "Sage", "Brick Red", "Steel", "Midnight Blue"))
BRIGHT_COLOURS = Choice("colour", ("Slate", "Moss", "Rust", "Ocean", "Sun Yellow", "Coral"))
WEAR_COLOURS = Choice("colour", ("Black", "Navy", "Oatmeal", "Olive"))
SIZES = Choice("size", ("S", "M", "L", "XL"))
SHOE_SIZES = Choice("size", ("38", "39", "40", "41", "42", "43"))
SCENTS = Choice("scent", ("Lavender", "Citrus", "Unscented", "Rosemary", "Sandalwood", "Chamomile"))


def sized(name: str, *values: str, step_percent: int = 35) -> Choice:
    """An option whose later values are larger, and dearer."""
    return Choice(name, values, step_percent)


def thing(
    name: str,
    category: str,
    benefit: str,
    euros: tuple[int, int],
    grams: tuple[int, int],
    size_mm: tuple[int, int, int],
    kinds: tuple[str, ...],
    *varies: Choice,
    **attributes: tuple[str | int | bool, ...],
) -> Thing:
    """A thing with its price in euros."""
    price = Range(euros[0] * 100, euros[1] * 100)
    return Thing(name, category, benefit, price, Range(*grams), size_mm, kinds, varies, attributes)
