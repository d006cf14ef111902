"""What stands in one cell of a CSV file, written so that it comes back as it was and no spreadsheet calculates it."""

import json
import re
from collections.abc import Sequence
from typing import Any

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_INTEGER = re.compile(r"-?\d{1,18}")
_FORMULA = re.compile(r"[=+\-@\t\r＝＋－＠]")
_GUARDED = re.compile(r"'+[=+\-@\t\r＝＋－＠]")
_PRICE = re.compile(r"(?:(\d{1,9})x)?(-?\d{1,18})(?:@([^/\s]*)(?:/(\S*))?)?")


class BadCell(Exception):
    """The cell does not say what its column is for."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def guarded(cell: str) -> str:
    """The cell with an apostrophe before what a spreadsheet would take for a formula, as spreadsheets mark text."""
    acts = _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if acts or _GUARDED.match(cell) else cell


def unguarded(cell: str) -> str:
    """The cell as it was before `guarded`. Raises BadCell for a formula that nothing guards."""
    if _GUARDED.match(cell):
        return cell[1:]
    if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        raise BadCell("formula", "A spreadsheet would read this as a formula. Put an apostrophe before it.")
    return cell


def integer(cell: str) -> int | str:
    """A whole number; anything else stays text, which the field refuses."""
    return int(cell) if _INTEGER.fullmatch(cell) else cell


def truth(cell: str) -> bool | str:
    """True or false in any case; anything else stays text."""
    return {"true": True, "false": False}.get(cell.lower(), cell)


def attribute(cell: str) -> Any:
    """A number, true, false, a JSON list or JSON string; anything else is text as it stands."""
    if cell in ("true", "false") or cell[:1] in ('"', "[") or _NUMBER.fullmatch(cell):
        try:
            return json.loads(cell)
        except ValueError:
            return cell
    return cell


def attribute_cell(value: Any) -> str:
    """What `attribute` reads back as this value."""
    if isinstance(value, str):
        return value if attribute(value) == value else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def names(cell: str) -> list[str]:
    """A JSON list of names. Raises BadCell."""
    return _json_list(cell, 'It must be a JSON list, such as ["colour", "size"].')


def images(cell: str) -> list[dict[str, Any]]:
    """Addresses with spaces between, or a JSON list of objects with `url`, `alt` and `sku`. Raises BadCell."""
    if cell.startswith("["):
        return _json_list(cell, "It must be addresses with spaces between, or a JSON list of objects.")
    return [{"url": url} for url in cell.split()]


def images_cell(given: Sequence[dict[str, Any]]) -> str:
    """What `images` reads back as these."""
    if all(image["alt"] is None and image["sku"] is None for image in given):
        return " ".join(image["url"] for image in given)
    shown = [{name: value for name, value in image.items() if name != "sku" or value} for image in given]
    return json.dumps(shown, ensure_ascii=False)


def prices(cell: str, currency: str) -> list[dict[str, Any]]:
    """Minor units; a price that does not always hold is `amount@from/to`, where either end may be missing, and one for
    at least ten units begins with `10x`. Several stand with spaces between. Raises BadCell.
    """
    found: list[dict[str, Any]] = []
    for word in cell.split():
        match = _PRICE.fullmatch(word)
        if match is None:
            advice = "A price is in minor units, such as 1999, 1499@2026-12-01T00:00:00Z/, or 10x1799 for ten and more."
            raise BadCell("price_format", advice)
        least, amount, begins, ends = match.groups()
        price: dict[str, Any] = {"amount": int(amount), "currency": currency}
        limits = {"min_quantity": least and int(least), "valid_from": begins, "valid_to": ends}
        found.append(price | {name: one for name, one in limits.items() if one not in (None, "")})
    return found


def prices_cell(given: Sequence[dict[str, Any]]) -> str:
    """What `prices` reads back as these."""
    return " ".join(_price_word(price) for price in given)


def _price_word(price: dict[str, Any]) -> str:
    begins, ends = price.get("valid_from"), price.get("valid_to")
    amount = f"{price['min_quantity']}x{price['amount']}" if "min_quantity" in price else str(price["amount"])
    if begins is None and ends is None:
        return amount
    return f"{amount}@{begins or ''}" + (f"/{ends}" if ends else "")


def _json_list(cell: str, advice: str) -> list[Any]:
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise BadCell("malformed_json", advice) from error
    if not isinstance(found, list):
        raise BadCell("malformed_json", advice)
    return found
