"""Which products are good answers to a query, by rules; `python -m bench.judgements` writes the graded queries.

Grade 3 is what was searched for, 2 is close to it, 1 is of some use. The rules are about the products of the sample
shop (`dev/seed_catalog.py`), never about how the search works.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import typer

from dev.seed_catalog import SeededProduct, brands, catalog, categories

PRODUCTS = 4000
JUDGED = Path(__file__).parent / "judged_queries.json"


@dataclass(frozen=True)
class Rule:
    """A product fits when it has all that is given: a part of its name, its brand, a category above it, values."""

    name: str = ""
    brand: str = ""
    category: str = ""
    has: tuple[str, ...] = ()
    number: str = ""


@dataclass(frozen=True)
class Judged:
    """A query with the rules for grade 3, 2 and 1; the first that fits a product grades it."""

    kind: str
    query: str
    grades: tuple[tuple[int, Rule], ...]


def _judged(kind: str, query: str, best: Rule, close: Rule | None = None, useful: Rule | None = None) -> Judged:
    rules = ((3, best), (2, close), (1, useful))
    return Judged(kind, query, tuple((grade, rule) for grade, rule in rules if rule is not None))


def _exact(name: str, thing: str, brand: str) -> Judged:
    """The product of that name is best; the same in another edition is of some use."""
    return _judged("exact name", name, Rule(name=name), None, Rule(name=thing, brand=brand))


def _brand(query: str, brand: str) -> Judged:
    return _judged("brand", query, Rule(brand=brand))


def _brand_thing(query: str, brand: str, thing: str) -> Judged:
    """The same of another brand is of some use, something else of the brand is not."""
    return _judged("brand and thing", query, Rule(brand=brand, name=thing), None, Rule(name=thing))


def _category(query: str, category: str, thing: str = "") -> Judged:
    return _judged("category", query, Rule(category=category, name=thing), Rule(category=category))


def _thing(kind: str, query: str, thing: str, useful: Rule | None = None) -> Judged:
    return _judged(kind, query, Rule(name=thing), None, useful)


def _attribute(kind: str, query: str, thing: str, *has: str) -> Judged:
    return _judged(kind, query, Rule(name=thing, has=has), None, Rule(name=thing))


QUERIES: tuple[Judged, ...] = (
    _exact("Fjellvik Summit Folding Trekking Poles", "Folding Trekking Poles", "Fjellvik"),
    _exact("Stillhall Air Pocket Bluetooth Speaker", "Pocket Bluetooth Speaker", "Stillhall"),
    _exact("Marble & Moon Classic Strategy Board Game", "Strategy Board Game", "Marble & Moon"),
    _exact("Maison Brise Nest Beeswax Candle", "Beeswax Candle", "Maison Brise"),
    _exact("Thresholm Connect Pet Robot Vacuum", "Pet Robot Vacuum", "Thresholm"),
    _brand("Nordklang", "Nordklang"),
    _brand("little otter", "Little Otter"),
    _brand("Papier & Tinte", "Papier & Tinte"),
    _brand("Maison Luzette", "Maison Luzette"),
    _brand("saint clovis", "Saint-Clovis"),
    _brand_thing("nordklang headphones", "Nordklang", "Headphones"),
    _brand_thing("kestrin keyboard", "Kestrin", "Keyboard"),
    _brand_thing("lindqvarn blanket", "Lindqvarn", "Blanket"),
    _brand_thing("yoga mat velocita", "Velocita", "Yoga Mat"),
    _brand_thing("petit renard puzzle", "Petit Renard", "Puzzle"),
    _category("headphones", "Headphones"),
    _category("garden tools", "Garden Tools"),
    _category("camping", "Camping"),
    _category("kitchen", "Kitchen"),
    _category("small appliances", "Small Appliances"),
    _category("business shoes", "Business Shoes"),
    _category("board games", "Puzzles & Games", "Board Game"),
    _thing("typo", "headfones", "Wireless Headphones", Rule(category="Headphones")),
    _thing("typo", "wireles hedphones", "Wireless Headphones", Rule(category="Headphones")),
    _thing("typo", "cofee maker", "Coffee Maker"),
    _thing("typo", "kettel", "Kettle"),
    _thing("typo", "choclate", "Chocolate"),
    _thing("typo", "sleping bag", "Sleeping Bag"),
    _thing("typo", "robot vaccum", "Robot Vacuum"),
    _thing("typo", "shampo", "Shampoo"),
    _judged("typo", "nordklnag", Rule(brand="Nordklang")),
    _judged("typo", "mechancial keybord", Rule(name="Mechanical Keyboard"), None, Rule(name="Keyboard")),
    _thing("plural", "knife", "Knife"),
    _thing("plural", "mice", "Mouse"),
    _thing("plural", "candles", "Candle"),
    _judged("plural", "table lamps", Rule(name="Table Lamp"), None, Rule(name="Lamp")),
    _thing("plural", "head torches", "Head Torch"),
    _judged("plural", "boot", Rule(name="Boots")),
    _judged("accent", "rostkranz coffee", Rule(brand="Röstkranz", name="Coffee"), None, Rule(name="Coffee Beans")),
    _judged("accent", "provencale cuisine", Rule(brand="Provençale Cuisine")),
    _judged("accent", "BRÜHWERK kettle", Rule(brand="Brühwerk", name="Kettle"), None, Rule(name="Kettle")),
    _judged("accent", "molle", Rule(brand="Mölle")),
    _judged("accent", "zaunkonig shears", Rule(brand="Zaunkönig", name="Shears"), None, Rule(name="Shears")),
    _judged("word order", "maker coffee espresso", Rule(name="Espresso Coffee Maker"), None, Rule(name="Coffee Maker")),
    _judged("word order", "cover duvet linen", Rule(name="Linen Duvet Cover"), None, Rule(name="Duvet Cover")),
    _judged("word order", "oil olive lemon", Rule(name="Lemon Olive Oil"), None, Rule(name="Olive Oil")),
    _attribute("attribute", "vegan sneakers", "Sneakers", "vegan"),
    _attribute("attribute", "bluetooth keyboard", "Keyboard", "Bluetooth"),
    _attribute("attribute", "merino wool jumper", "Jumper", "Merino wool"),
    _attribute("attribute", "zigbee smart plug", "Smart Plug", "Zigbee"),
    _attribute("attribute", "fragrance free shampoo", "Shampoo", "fragrance free"),
    _attribute("attribute", "coffee beans from ethiopia", "Coffee Beans", "Ethiopia"),
    _attribute("attribute", "skillet 28 cm", "Skillet", "28 cm"),
    _attribute("attribute", "1tb ssd", "SSD", "1 TB"),
    _attribute("colour", "black headphones", "Headphones", "Black"),
    _attribute("colour", "navy jumper", "Jumper", "Navy"),
    _attribute("colour", "olive boots", "Boots", "Olive"),
    _attribute("colour", "midnight blue saucepan", "Saucepan", "Midnight Blue"),
    _judged("number", "KIT-HEA-00005", Rule(number="KIT-HEA-00005")),
    _judged("number", "aud-ott-00001-2", Rule(number="AUD-OTT-00001")),
    _judged("number", "OUT-FJE", Rule(number="OUT-FJE")),
    _thing("part of a word", "headph", "Headphones", Rule(category="Headphones")),
    _thing("part of a word", "fountain p", "Fountain Pen"),
    _thing("part of a word", "choco", "Chocolate"),
    _thing("part of a word", "dumbb", "Dumbbell"),
    _judged("one word or two", "tshirt", Rule(name="T-Shirt")),
    _judged("one word or two", "head phones", Rule(name="Headphones"), None, Rule(category="Headphones")),
    _judged("one word or two", "sound bar", Rule(name="Soundbar")),
)  # fmt: skip


class GradedQuery(TypedDict):
    """A query as judged_queries.json has it: its kind, and the grades of its products by their code."""

    kind: str
    query: str
    grades: dict[str, int]


class Shop:
    """The products that the rules are applied to."""

    def __init__(self, products: Sequence[SeededProduct]) -> None:
        self._products = products
        self._brands = {brand.code: brand.name for brand in brands()}
        self._categories = {category.code: category for category in categories()}

    def grades(self, judged: Judged) -> dict[str, int]:
        """The grade of every product that has one."""
        found: dict[str, int] = {}
        for entry in self._products:
            grade = next((grade for grade, rule in judged.grades if self._fits(entry, rule)), None)
            if grade is not None:
                found[entry.product.code] = grade
        return found

    def _fits(self, entry: SeededProduct, rule: Rule) -> bool:
        product = entry.product
        return (
            rule.name.lower() in product.name.lower()
            and rule.brand in ("", self._brands[product.brand])
            and (not rule.category or rule.category in self._path(product.category))
            and set(rule.has) <= self._values(entry)
            and product.code.startswith(rule.number)
        )

    def _path(self, code: str) -> list[str]:
        category = self._categories[code]
        parents = self._path(category.parent) if category.parent else []
        return [*parents, category.name]

    def _values(self, entry: SeededProduct) -> set[str]:
        values = {value for variant in entry.product.variants for value in variant.options.values()}
        for name, value in entry.product.attributes.items():
            values.add(name.replace("_", " ") if value is True else str(value))
        return values


def judge() -> list[GradedQuery]:
    """Every query with the grades of its products."""
    shop = Shop(list(catalog(PRODUCTS)))
    return [GradedQuery(kind=query.kind, query=query.query, grades=shop.grades(query)) for query in QUERIES]


def main() -> None:
    """Grade the sample shop by the rules and write judged_queries.json; each query must have a product of grade 3."""
    graded = judge()
    unanswered = [query["query"] for query in graded if 3 not in query["grades"].values()]
    if unanswered:
        raise SystemExit(f"Nothing in the sample shop answers {unanswered}; change the rule or the query.")
    lines = ",\n".join(json.dumps(query, ensure_ascii=False) for query in graded)
    JUDGED.write_text(f"[\n{lines}\n]\n")
    print(f"{len(graded)} judged queries are in {JUDGED}")


if __name__ == "__main__":
    typer.run(main)
