"""The address book."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from schemas.base import Country, Payload, Request, Text


class SaveAddress(Request):
    """`POST` and `PUT` of an address; which of `region` and `postal_code` are needed depends on the country."""

    label: Annotated[Text, Field(max_length=100)] | None = None
    name: Text
    line1: Text
    line2: Text | None = None
    city: Text
    region: Text | None = None
    postal_code: Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=12)] | None = None
    country: Country
    is_default: bool = False


class SavedAddress(Payload):
    """An address as kept. Of an account's addresses exactly one is the default."""

    id: str
    label: str | None
    name: str
    line1: str
    line2: str | None
    city: str
    region: str | None
    postal_code: str | None
    country: str
    is_default: bool
    created_at: datetime
    updated_at: datetime


class AddressList(Payload):
    """All of an account's addresses, the default first."""

    items: list[SavedAddress]
    next_cursor: str | None = None
