"""Products in a file of any format, and how they are applied to existing products.

A product in a file is the body of `POST /v1/products`. A field that the file does not name stays as it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.catalog import ALWAYS
from schemas.catalog import Product
from schemas.product_edits import OneVariant

Place = Callable[[str, Mapping[str, Any]], tuple[int, str]]
"""Pointer into a whole product, and that product → line and name of the field in the file."""
_DIRECT = frozenset(OneVariant.model_fields)
MOST_FAULTS = 100
"""The most faults reported for one product: a line of a hundred kilobytes can have tens of thousands."""


@dataclass(frozen=True)
class RowFault:
    """A fault in a line: the field as named in the file, a stable code, and a sentence."""

    line: int
    field: str
    code: str
    message: str


@dataclass
class FileProduct:
    """One product in the file.

    `lines` are those of its variants in their order, `end` is the number of bytes up to its end. `partial` data names
    attributes and currencies one by one, as columns do; otherwise the given values replace the existing ones.
    """

    end: int
    lines: list[int]
    code: str | None = None
    data: dict[str, Any] | None = None
    faults: list[RowFault] = field(default_factory=list)
    partial: bool = False
    place: Place | None = None
    _told: set[tuple[int, str]] = field(default_factory=set, init=False, repr=False)

    def refuse(self, pointer: str, code: str, message: str, whole: Mapping[str, Any] | None = None) -> None:
        """Note a fault at a place of the product, as `note` does."""
        line, name = self.place(pointer, whole or {}) if self.place else (self.lines[0], pointer)
        self.note(RowFault(line, name, code, message))

    def note(self, fault: RowFault) -> None:
        """Keep the first fault of each field; past MOST_FAULTS, only a note that there are more."""
        if len(self._told) > MOST_FAULTS or (fault.line, fault.field) in self._told:
            return
        self._told.add((fault.line, fault.field))
        if len(self._told) > MOST_FAULTS:
            fault = RowFault(fault.line, "", "and_more", f"And more: the first {MOST_FAULTS} are listed.")
        self.faults.append(fault)

    @property
    def skus(self) -> list[str]:
        """Every SKU it names as text."""
        given = (self.data or {}).get("variants")
        listed = [one.get("sku") for one in given if isinstance(one, dict)] if isinstance(given, list) else []
        return [sku for sku in listed if isinstance(sku, str)]


def as_edit(product: Product) -> dict[str, Any]:
    """The product as JSON values that `POST /v1/products` and an import take: what an export writes."""
    data = product.model_dump(mode="json", exclude={"version", "created_at", "updated_at"})
    for given, variant in zip(data["variants"], product.variants, strict=True):
        for shown, price in zip(given["prices"], variant.prices, strict=True):
            if price.valid_from == ALWAYS:
                del shown["valid_from"]
            if price.valid_to is None:
                del shown["valid_to"]
            if price.min_quantity == 1:
                del shown["min_quantity"]
    for image in data["images"]:
        image["alt"] = image["alt"] or None
    return data


def laid_over(before: Product | None, given: FileProduct) -> dict[str, Any]:
    """The complete product after the file is applied to the existing one, unchecked."""
    data = dict(given.data or {})
    if "sku" in data and "code" not in data:
        data["code"] = data.pop("sku")
    base = as_edit(before) if before else {}
    if given.partial and "attributes" in data:
        both = base.get("attributes", {}) | data["attributes"]
        data["attributes"] = {name: value for name, value in both.items() if value is not None}
    if given.partial and "images" in data:
        data["images"] = _described(base.get("images", []), data["images"])
    if before is not None and "variants" not in data:
        _place_direct_fields(before, data)
    if isinstance(data.get("variants"), list):
        known = {variant["sku"]: variant for variant in base.get("variants", [])}
        data["variants"] = [_variant(known, one, given.partial) for one in data["variants"]]
    return base | data


def _variant(known: Mapping[str, Any], given: Any, partial: bool) -> Any:
    if not isinstance(given, dict):
        return given
    sku = given.get("sku")
    base = known.get(sku, {}) if isinstance(sku, str) else {}
    merged = base | given
    if partial:
        named: dict[str, list[Any]] = given.get("prices", {})
        kept = [price for price in base.get("prices", []) if price["currency"] not in named]
        merged["prices"] = kept + [price for prices in named.values() for price in prices]
    return merged


def _described(known: list[dict[str, Any]], given: Any) -> Any:
    """A picture given by its URL alone keeps its description."""
    if not isinstance(given, list):
        return given
    by_url = {image["url"]: image for image in known}
    return [
        by_url.get(image["url"], image) if isinstance(image, dict) and image.keys() == {"url"} else image
        for image in given
    ]


def _place_direct_fields(before: Product, data: dict[str, Any]) -> None:
    """Move the fields of the only variant from the product into it; with several variants they stay and are refused."""
    direct = {name: data[name] for name in _DIRECT & data.keys()}
    if not direct or len(before.variants) != 1:
        return
    for name in direct:
        del data[name]
    price = direct.pop("price", None)
    if price is not None:
        direct["prices"] = [price]
    data["variants"] = [{"sku": before.variants[0].sku, **direct}]
