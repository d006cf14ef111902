"""Voucher codes: requests of staff, and views."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from domain.vouchers import VoucherKind
from schemas.base import Currency, Open, Payload, Request

Uses = Annotated[int, Field(ge=1, le=10**9, strict=True)]
Worth = Annotated[int, Field(ge=1, le=10**10, strict=True)]


class VoucherTerms(Request):
    """The value of a code and when it can be used. Amounts in minor units of `currency`."""

    kind: VoucherKind
    basis_points: Annotated[int, Field(ge=1, le=10_000, strict=True, description="1000 is ten percent.")] | None = None
    amount: Worth | None = None
    minimum: Worth | None = None
    currency: Currency | None = None
    valid_from: AwareDatetime | None = None
    valid_to: AwareDatetime | None = None
    max_uses: Uses | None = None
    max_uses_per_customer: Uses | None = None
    active: bool = True

    @model_validator(mode="after")
    def _terms_agree(self) -> Self:
        if (self.kind is VoucherKind.PERCENT) != (self.basis_points is not None):
            raise ValueError("basis_points belongs to a percent voucher, and to no other")
        if (self.kind is VoucherKind.AMOUNT) != (self.amount is not None):
            raise ValueError("amount belongs to an amount voucher, and to no other")
        if (self.amount or self.minimum) and self.currency is None:
            raise ValueError("an amount or a minimum has a currency")
        if self.valid_from and self.valid_to and self.valid_to <= self.valid_from:
            raise ValueError("valid_to comes after valid_from")
        return self


class NewVoucher(VoucherTerms):
    """`POST /v1/vouchers`."""

    code: Annotated[
        str, StringConstraints(strip_whitespace=True, to_upper=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{2,39}$")
    ]


class VoucherView(Payload):
    """A voucher as staff see it; `uses` counts the orders that currently use it."""

    code: str
    kind: Open[VoucherKind]
    basis_points: int = 0
    amount: int | None = None
    minimum: int | None = None
    currency: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    max_uses: int | None = None
    max_uses_per_customer: int | None = None
    uses: int
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime


class VoucherPage(Payload):
    """`GET /v1/vouchers`."""

    items: list[VoucherView]
    next_cursor: str | None = None
