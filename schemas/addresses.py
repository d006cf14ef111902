"""Addresses: where an order is to be shipped, and the address book of an account."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from schemas.base import Address, Country, Payload, Request, Text


class ShippingAddress(Request):
    """The address an order is shipped to; `country` is an ISO 3166-1 alpha-2 code."""

    name: Text
    line1: Text
    line2: Text | None = None
    city: Text
    region: Text | None = None
    postal_code: Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=12)]
    country: Country

    def message(self) -> Address:
        """The same as the order and its parcels carry it."""
        return Address(**self.model_dump())


class SaveAddress(Request):
    """An address to save; whether `region` and `postal_code` are required depends on the country."""

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
    """A saved address. Exactly one address of an account is the default."""

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
