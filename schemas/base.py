"""The two kinds of message: requests refuse what they do not know, payloads tolerate it.

How messages may grow is decision 20 in docs/decisions/.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic_core import CoreSchema, PydanticOmit, core_schema

from domain.money import Money as DomainMoney


def _printable(value: str) -> str:
    if any(not character.isprintable() for character in value):
        raise ValueError("control characters are not allowed")
    return value


Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_printable)
]
Sku = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9._-]{0,63}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Quantity = Annotated[int, Field(ge=1, le=999, strict=True)]


class Request(BaseModel):
    """The body of a client's request: an unknown field is an error, so that a typo is never silently ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Payload(BaseModel):
    """What our own processes send each other and store: an older release ignores the fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class UnknownValue(str):
    """A value of an enum that only a newer release knows; it is kept and passed on as it is."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        raise PydanticOmit  # the contract names the values of this release


KnownT = TypeVar("KnownT")
Open = Annotated[KnownT | UnknownValue, Field(union_mode="left_to_right")]
"""An enum in an event, a view, a signal or an update, as `Open[OrderStatus]`: a value from a newer release is kept.

In every other message a plain enum is right: one with an unknown value cannot be read, and Temporal tries again until
a newer worker does.
"""


def unknown_values(message: object) -> Iterator[UnknownValue]:
    """The values of open enums, anywhere in the message, that this release does not know."""
    if isinstance(message, UnknownValue):
        yield message
    elif isinstance(message, BaseModel):
        yield from unknown_values(list(message.__dict__.values()))
    elif isinstance(message, Mapping):
        yield from unknown_values(list(message.values()))
    elif isinstance(message, list | tuple):
        for part in message:
            yield from unknown_values(part)


class Money(Payload):
    """An amount in integer minor units of an ISO 4217 currency."""

    amount: int
    currency: Currency

    @classmethod
    def of(cls, money: DomainMoney) -> "Money":
        """The message for a domain amount."""
        return cls(amount=money.amount, currency=money.currency)


class Address(Payload):
    """Where a parcel goes; `country` is ISO 3166-1 alpha-2. What clients send is checked as `ShippingAddress`."""

    name: str
    line1: str
    line2: str | None = None
    city: str
    region: str | None = None
    postal_code: str
    country: str


class Problem(BaseModel):
    """RFC 9457 problem details with our stable `code`."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
    instance: str | None = None
    errors: list[dict[str, object]] | None = None
