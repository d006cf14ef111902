"""Products as lines of NDJSON or CSV, such that an import of them changes nothing."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from api.product_files import cells
from api.product_files.columns import ATTRIBUTE, OPTION, PRICE, header_of
from schemas.catalog import Product
from schemas.product_files import as_edit

_OF_PRODUCT = ("name", "description", "brand", "category", "tax_class", "status")
_OF_VARIANT = ("weight_grams", "length_mm", "width_mm", "height_mm")


def write_ndjson(pages: Iterable[list[Product]]) -> Iterator[bytes]:
    """One line per product, a page at a time."""
    for page in pages:
        lines = (json.dumps(as_edit(product), ensure_ascii=False, separators=(",", ":")) for product in page)
        yield ("\n".join(lines) + "\n").encode()


def write_csv(
    pages: Iterable[list[Product]], options: Iterable[str], currencies: Iterable[str], attributes: Iterable[str]
) -> Iterator[bytes]:
    """One line per variant, a page of products at a time; what belongs to the product stands on its first line."""
    header = header_of(options, currencies, attributes)
    yield _lines([header])
    for page in pages:
        yield _lines([[row.get(title, "") for title in header] for product in page for row in _rows(product)])


def _rows(product: Product) -> Iterator[dict[str, str]]:
    data = as_edit(product)
    first = {name: data[name] for name in _OF_PRODUCT}
    first |= {"popularity": str(data["popularity"]), "images": cells.images_cell(data["images"])}
    # Said, too, where there are none but a variant of former times has some, which a reader would go by.
    named = data["options"] or any(variant["options"] for variant in data["variants"])
    first["options"] = json.dumps(data["options"], ensure_ascii=False) if named else ""
    first |= {f"{ATTRIBUTE}{name}": cells.attribute_cell(value) for name, value in data["attributes"].items()}
    for variant in data["variants"]:
        row = first | {"product": product.code} | _variant(variant)
        yield {title: cells.guarded(cell) for title, cell in row.items() if cell}
        first = {}


def _variant(variant: dict[str, Any]) -> dict[str, str]:
    row = {name: "" if variant[name] is None else str(variant[name]) for name in _OF_VARIANT}
    row |= {"sku": variant["sku"], "barcode": variant["barcode"] or "", "active": str(variant["active"]).lower()}
    row |= {f"{OPTION}{name}": value for name, value in variant["options"].items()}
    for currency in {price["currency"] for price in variant["prices"]}:
        of_it = [price for price in variant["prices"] if price["currency"] == currency]
        row[f"{PRICE}{currency}"] = cells.prices_cell(of_it)
    return row


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
