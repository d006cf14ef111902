"""The two kinds of message: requests refuse what they do not know, payloads ignore it."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

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
    """What a client sends: an unknown field is an error, so that a typo is never silently ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Payload(BaseModel):
    """What our own processes send each other: unknown fields are ignored, so that an old worker reads a new message."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Money(Payload):
    """An amount in integer minor units of an ISO 4217 currency."""

    amount: int
    currency: Currency

    @classmethod
    def of(cls, money: DomainMoney) -> "Money":
        """The message for a domain amount."""
        return cls(amount=money.amount, currency=money.currency)


class Address(Request):
    """Where a parcel goes. Country is ISO 3166-1 alpha-2."""

    name: Text
    line1: Text
    line2: Text | None = None
    city: Text
    region: Text | None = None
    postal_code: Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=12)]
    country: Country


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
