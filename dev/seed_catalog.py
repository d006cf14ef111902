"""The products of the sample shop: the same ones with the same SKUs on every machine, as many as requested.

Every product has its own random numbers, so the first N are the same however many follow.
"""

import random
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from itertools import product as combinations

from dev.seed_words import DEPARTMENTS
from dev.seed_words.model import Choice, Department, Range, Thing
from domain.catalog import ALWAYS, ProductStatus
from schemas.catalog import BASE_CURRENCY, AttributeValue, Brand, Category, Image, Price, Product, Variant
from schemas.stock import SetStockRules

SEED = 20260101
_FIRST_DAY = datetime(2025, 1, 6, 8, tzinfo=UTC)
_SALES = (  # from, to: one that is over, one that runs, one that is to come
    (datetime(2025, 11, 24, tzinfo=UTC), datetime(2025, 12, 1, tzinfo=UTC)),
    (datetime(2026, 6, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)),
    (datetime(2031, 6, 1, tzinfo=UTC), datetime(2031, 7, 1, tzinfo=UTC)),
)
# So few that selling one unit triggers the supplier; it can be backordered.
_ROASTED_TO_ORDER = "Coffee Beans"
_FEW = {"BER": 13, "AMS": 8}
_FRESH = SetStockRules(low_stock_at=sum(_FEW.values()) - 1, backorderable=True)
_OPENINGS = (
    "The {thing} of the {brand} {series} line {benefit}.",
    "{brand} {thing}: {benefit}.",
    "Look no further: the {series} {thing} by {brand} {benefit}.",
)
_CLOSINGS = (
    "Made to be repaired: every part can be ordered.",
    "Two years' guarantee, thirty days to change your mind.",
    "Packed without plastic.",
    "Our customers' favourite of the season.",
    "Designed in Europe, tested by people who use it daily.",
)


@dataclass(frozen=True)
class SeededProduct:
    """A product, the units of each of its SKUs that each warehouse receives, and its stock rules."""

    product: Product
    units: Mapping[str, Mapping[str, int]]
    rules: SetStockRules | None = None


@dataclass(frozen=True)
class _Design:
    """The combination that makes a product."""

    department: Department
    thing: Thing
    brand: str
    series: str
    edition: str
    kind: str
    number: int

    @property
    def line(self) -> str:
        return " ".join(filter(None, (self.series, self.edition)))

    @property
    def thing_name(self) -> str:
        return f"{self.kind} {self.thing.name}"

    @property
    def code(self) -> str:
        letters = "".join(letter for letter in slug(self.brand).upper() if "A" <= letter <= "Z")[:3]
        return f"{self.department.code}-{letters}-{self.number:05d}"


def catalog(count: int) -> Iterator[SeededProduct]:
    """The first `count` products, department by department in turn; there are over 60,000."""
    designs = [_designs(department) for department in DEPARTMENTS]
    return (_seeded(design) for design in islice(_in_turn(designs), count))


def brands() -> list[Brand]:
    """All brands."""
    names = {slug(name): name for department in DEPARTMENTS for name in department.brands}
    return [Brand(code=code, name=name) for code, name in names.items()]


def categories() -> list[Category]:
    """The tree of three levels: area, department, category; parents first."""
    found: dict[str, Category] = {}
    for department in DEPARTMENTS:
        area, own = slug(department.area), slug(department.name)
        found.setdefault(area, Category(code=area, name=department.area, position=len(found)))
        found[own] = Category(code=own, name=department.name, parent=area, position=len(found))
        for thing in department.things:
            code = _category(department, thing)
            found.setdefault(code, Category(code=code, name=thing.category, parent=own, position=len(found)))
    return list(found.values())


def slug(text: str) -> str:
    """The text as a code: lower case letters without accents, digits, hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _category(department: Department, thing: Thing) -> str:
    return f"{slug(department.name)}-{slug(thing.category)}"


def _in_turn(designs: Sequence[Iterator[_Design]]) -> Iterator[_Design]:
    left = list(designs)
    while left:
        for department in list(left):
            design = next(department, None)
            if design is None:
                left.remove(department)
            else:
                yield design


def _designs(department: Department) -> Iterator[_Design]:
    """Every combination once in a mixed order, the plain editions first."""
    dice = random.Random(f"{SEED}:{department.code}")  # noqa: S311 - a catalog, not a secret
    number = 0
    for edition in department.editions:
        made = [
            (thing, kind, brand, series)
            for thing in department.things
            for kind, brand, series in combinations(thing.kinds, department.brands, department.series)
        ]
        dice.shuffle(made)
        for number, (thing, kind, brand, series) in enumerate(made, start=number + 1):  # noqa: B020 - continues counting
            yield _Design(department, thing, brand, series, edition, kind, number)


def _seeded(design: _Design) -> SeededProduct:
    dice = random.Random(f"{SEED}:{design.code}")  # noqa: S311
    thing, since = design.thing, _FIRST_DAY + timedelta(hours=dice.randrange(650 * 24))
    chosen = _chosen(thing, dice)
    variants = _variants(design, chosen, dice)
    attributes: dict[str, AttributeValue] = {
        name: dice.choice(_fitting(design.kind, values)) for name, values in thing.attributes.items()
    }
    product = Product(
        code=design.code,
        name=" ".join((design.brand, design.line, design.thing_name)),
        description=_description(design, dice),
        brand=slug(design.brand),
        category=_category(design.department, thing),
        attributes=attributes,
        options=[choice.name for choice in chosen],
        tax_class=design.department.tax_class,
        status=ProductStatus.ACTIVE,
        popularity=min(1000, int(dice.paretovariate(1.2) * 8)),
        variants=variants,
        images=_images(design, variants),
        created_at=since,
        updated_at=since,
    )
    if thing.name == _ROASTED_TO_ORDER:
        return SeededProduct(product, {variant.sku: _FEW for variant in variants}, _FRESH)
    return SeededProduct(product, {variant.sku: _units(dice) for variant in variants})


def _fitting(kind: str, values: Sequence[str | int | bool]) -> Sequence[str | int | bool]:
    """The values that its name mentions, if any: a linen shirt is of linen."""
    words = set(kind.lower().split())
    return [value for value in values if isinstance(value, str) and words & set(value.lower().split())] or values


def _description(design: _Design, dice: random.Random) -> str:
    words = {"thing": design.thing_name, "brand": design.brand, "series": design.line, "benefit": design.thing.benefit}
    return f"{dice.choice(_OPENINGS).format(**words)} {dice.choice(_CLOSINGS)}"


def _chosen(thing: Thing, dice: random.Random) -> list[Choice]:
    """The options of this product with some of their values; without any it has a single variant."""
    most = dice.choices((1, 2, 3, 4, 6), weights=(22, 24, 26, 16, 12))[0]
    chosen: list[Choice] = []
    for choice in thing.varies:
        many = min(most, len(choice.values)) if choice is thing.varies[-1] else min(1 + most // 4, len(choice.values))
        most //= many
        if many > 1:
            picked = sorted(dice.sample(range(len(choice.values)), many))
            chosen.append(Choice(choice.name, tuple(choice.values[i] for i in picked), choice.step_percent))
    return chosen


def _variants(design: _Design, chosen: Sequence[Choice], dice: random.Random) -> list[Variant]:
    base, grams = _price(design.thing.price, dice), _within(design.thing.weight, dice)
    sale = (dice.choice(_SALES), dice.choice((10, 15, 20, 30))) if dice.random() < 0.12 else None
    abroad = dice.random() < 0.25
    size = [int(side * dice.uniform(0.85, 1.15)) for side in design.thing.size_mm]
    made: list[Variant] = []
    for number, ranks in enumerate(combinations(*(range(len(choice.values)) for choice in chosen)), start=1):
        percent = 100 + sum(rank * choice.step_percent for rank, choice in zip(ranks, chosen, strict=True))
        amount = base * percent // 100
        made.append(
            Variant(
                sku=f"{design.code}-{number}" if chosen else design.code,
                options={choice.name: choice.values[rank] for rank, choice in zip(ranks, chosen, strict=True)},
                weight_grams=max(10, grams * percent // 1000 * 10),
                length_mm=size[0],
                width_mm=size[1],
                height_mm=size[2],
                barcode=_barcode(dice),
                prices=_prices(amount, sale, abroad),
            )
        )
    return made


def _prices(amount: int, sale: tuple[tuple[datetime, datetime], int] | None, abroad: bool) -> list[Price]:
    prices = [Price(amount=amount, currency=BASE_CURRENCY, valid_from=ALWAYS)]
    if sale:
        (begins, ends), percent = sale
        lowered = amount * (100 - percent) // 100
        prices.append(Price(amount=lowered, currency=BASE_CURRENCY, valid_from=begins, valid_to=ends))
    if abroad:
        prices.append(Price(amount=amount * 112 // 100, currency="USD", valid_from=ALWAYS))
    return prices


def _barcode(dice: random.Random) -> str:
    """An EAN-13 with its check digit, from the range that shops assign themselves."""
    digits = f"2{dice.randrange(10**11):011d}"
    odd, even = sum(map(int, digits[::2])), sum(map(int, digits[1::2]))
    return f"{digits}{-(odd + 3 * even) % 10}"


def _images(design: _Design, variants: Sequence[Variant]) -> list[Image]:
    folder = f"https://images.example.com/products/{design.code.lower()}"
    name = " ".join((design.brand, design.line, design.thing_name))
    first = Image(url=f"{folder}/front.jpg", alt=name)
    if len(variants) == 1:
        return [first, Image(url=f"{folder}/detail.jpg", alt=f"{name}, detail")]
    of_each = [
        Image(url=f"{folder}/{number}.jpg", alt=", ".join((name, *variant.options.values())), sku=variant.sku)
        for number, variant in enumerate(variants, start=1)
    ]
    return [first, *of_each]


def _within(span: Range, dice: random.Random) -> int:
    return int(dice.triangular(span.low, span.high, span.low + (span.high - span.low) / 4))


def _price(span: Range, dice: random.Random) -> int:
    """Whole euros less a few cents."""
    return max(100, _within(span, dice) // 100 * 100) - dice.choice((1, 5, 10, 50))


def _units(dice: random.Random) -> dict[str, int]:
    """Most are in both warehouses; some in one only, so that orders are split; a few are sold out."""
    both = {"BER": dice.randint(20, 400), "AMS": dice.randint(10, 250)}
    where = dice.choices(("both", "BER", "AMS", "nowhere"), weights=(80, 9, 8, 3))[0]
    return both if where == "both" else {warehouse: n for warehouse, n in both.items() if warehouse == where}
