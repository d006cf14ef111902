"""The types of a product's fields."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from babel.numbers import list_currencies
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from domain.catalog import is_gtin
from schemas.base import Currency
from schemas.catalog import AttributeValue
from schemas.plain_text import Value

_VALUE: TypeAdapter[str] = TypeAdapter(Value)
_CURRENCIES = frozenset(list_currencies())
_MOST_VALUES = 50
_EXACT = 2**53  # beyond it JSON readers lose digits
_PLAIN_ADDRESS = re.compile(r"https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?:/[A-Za-z0-9._~/-]*)?")


def _known_currency(code: str) -> str:
    if code not in _CURRENCIES:
        raise PydanticCustomError("unknown_currency", "This is not a currency of ISO 4217.")
    return code


def _moment(moment: datetime) -> datetime:
    if not 1970 <= moment.year <= 2200:
        raise PydanticCustomError("moment_out_of_range", "A moment lies between the years 1970 and 2200.")
    return moment.astimezone(UTC)


def _gtin(digits: str) -> str:
    if not is_gtin(digits):
        detail = "A barcode is a GTIN: 8, 12, 13 or 14 digits, the last of which is the check digit."
        raise PydanticCustomError("not_a_gtin", detail)
    return digits


def _web_address(url: str) -> str:
    if _PLAIN_ADDRESS.fullmatch(url):  # most are, and parsing one costs four times as much
        return url
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        is_one = False
    if not is_one or not url.isascii() or any(character in url for character in ' "<>\\^`{|}') or not url.isprintable():
        raise PydanticCustomError("not_a_web_address", "It must be an http or https address.")
    return url


def _attribute(value: Any) -> Any:
    """By hand, because a union would report an error for each of its types."""
    if isinstance(value, list) and len(value) <= _MOST_VALUES:
        return [_text(one) for one in value]
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool) or (isinstance(value, int | float) and abs(value) <= _EXACT):
        return value
    detail = f"An attribute is a text, a number, true or false, or a list of at most {_MOST_VALUES} texts."
    raise PydanticCustomError("not_an_attribute", detail)


def _text(value: Any) -> str:
    try:
        return _VALUE.validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise PydanticCustomError(first["type"], first["msg"]) from None


Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Grams = Annotated[int, Field(ge=0, le=1_000_000, strict=True)]
Millimetres = Annotated[int, Field(ge=1, le=20_000, strict=True)]
MinorUnits = Annotated[int, Field(ge=0, le=10_000_000_000, strict=True)]
MinQuantity = Annotated[int, Field(ge=1, le=999, strict=True)]
_POPULARITY = "Set by staff or an import; recent sales are added where products are sorted or ranked by it."
Popularity = Annotated[int, Field(ge=0, le=2_000_000_000, strict=True, description=_POPULARITY)]
KnownCurrency = Annotated[Currency, AfterValidator(_known_currency)]
Moment = Annotated[AwareDatetime, AfterValidator(_moment)]
Barcode = Annotated[str, AfterValidator(_gtin)]
Url = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_web_address)]
Attribute = Annotated[AttributeValue, BeforeValidator(_attribute)]
